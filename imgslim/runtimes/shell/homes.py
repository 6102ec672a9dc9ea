"""Home directories, as ``~`` and ``~user`` mean them."""

from __future__ import annotations

from collections.abc import Mapping

from imgslim.accounts import accounts
from imgslim.world import World


def homes_of(world: World) -> Mapping[str, str]:
    """Home directories by user; "" for the image's own, whose HOME the runtime sets (runc)."""
    known = [account for account in accounts(world.rootfs) if account.home]
    homes = {"root": "/root", **{account.name: account.home for account in known}}
    user = world.config.user.partition(":")[0] or "root"
    by_id = {account.uid: account.home for account in reversed(known)}
    own = homes.get(user) or by_id.get(user, "/root" if user == "0" else "/")
    return {**homes, "": own}
