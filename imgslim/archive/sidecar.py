"""The tar beside a Dockerfile: what no COPY line brings as it is, for ``ADD`` to unpack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgslim.archive.contents import Contents
from imgslim.archive.layers import Part, SlimLayer, members_of
from imgslim.model import Keep
from imgslim.rootfs import Rootfs


def sidecar_tar(keeps: Iterable[Keep], rootfs: Rootfs) -> Iterator[bytes]:
    """The tar of ``keeps``, sorted by path, in pieces; not compressed, the same on every machine.

    Every header is whole, those of hard links too: builders set owner, mode, time and attributes
    of each member as they come (measured; moby's pkg/archive, buildah's copier). Raises
    ArchiveError when a file is not there in full.
    """
    yield from Contents(rootfs).tar_of(SlimLayer(Part.APP, tuple(members_of(keeps))))
