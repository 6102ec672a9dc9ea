"""Home directories, as ``~`` and ``~user`` mean them."""

from __future__ import annotations

from collections.abc import Mapping

from imgslim.world import World


def homes_of(world: World) -> Mapping[str, str]:
    """Home directories by user; "" for the image's own, whose HOME the runtime sets (runc)."""
    entry = world.rootfs.lookup("/etc/passwd")
    content = b"" if entry is None else world.rootfs.read_bytes(entry)
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    rows = [row for row in (line.split(":") for line in lines) if len(row) >= 6 and row[5]]
    homes = {"root": "/root", **{row[0]: row[5] for row in rows}}
    user = world.config.user.partition(":")[0] or "root"
    by_id = {row[2]: row[5] for row in reversed(rows)}
    own = homes.get(user) or by_id.get(user, "/root" if user == "0" else "/")
    return {**homes, "": own}
