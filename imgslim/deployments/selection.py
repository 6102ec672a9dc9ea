"""Which services run the analysed image: those that the user names, else those that name it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import groupby

from imgslim.errors import UsageError
from imgslim.model import Image
from imgslim.model.service import Service
from imgslim.sources.reference import familiar

_MOST_NAMES = 8


def select_services(
    services: Sequence[Service], image: Image, wanted: Sequence[str] = ()
) -> tuple[Service, ...]:
    """The ``services`` that run ``image``, of each file those that name it best.

    A name without a registry, or without a tag, stands for any; another tag counts where no name
    fits better, and is noted in the service. With ``wanted``, those of these names instead,
    whatever they run. Raises UsageError for a file, or a wanted name, that gives none.
    """
    if wanted:
        return tuple(_named(services, wanted))
    found: list[Service] = []
    for source, group in groupby(services, key=lambda service: service.source):
        found += _running(source, list(group), image)
    return tuple(found)


def _named(services: Sequence[Service], wanted: Sequence[str]) -> Iterator[Service]:
    known = dict.fromkeys(name for service in services for name in service.names)
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, 3) or list(known)[:_MOST_NAMES]
            raise UsageError(
                f"--service {name} is in no deployment file",
                hint=f"did you mean {' or '.join(near)}?" if near else "add --compose or --k8s",
            )
    for service in services:
        if not set(wanted).isdisjoint(service.names):
            yield service


def _running(source: str, services: Sequence[Service], image: Image) -> Iterator[Service]:
    own = [_parse(name) for name in (image.reference, *image.tags, *image.repo_digests) if name]
    ranked = [(_rank(service, own), service) for service in services]
    best = min((rank for rank, _ in ranked if rank is not None), default=None)
    if best is None:
        raise UsageError(
            f"no service in {source} runs {image.reference or 'this image'}: {_runs(services)}",
            hint="choose one with --service NAME",
        )
    for rank, service in ranked:
        if rank == best:
            noted = service.images[0] if rank == _OTHER_TAG else ""
            yield replace(service, other_image=noted)


def _runs(services: Iterable[Service]) -> str:
    rows = [f"{service.title} runs {' or '.join(service.images) or 'none'}" for service in services]
    hidden = len(rows) - _MOST_NAMES
    return ", ".join([*rows[:_MOST_NAMES], *([f"and {hidden:,} more"] if hidden > 0 else [])])


@dataclass(frozen=True, slots=True)
class _Name:
    """A reference in its parts; "" where it has none (OCI distribution spec)."""

    registry: str
    repository: str
    tag: str
    digest: str


def _parse(reference: str) -> _Name:
    name, _, digest = familiar(reference).partition("@")
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    first, _, rest = head.partition("/")
    # What has a dot or a port is a host (distribution's reference package, splitDockerDomain).
    is_host = "." in first or ":" in first or first == "localhost"
    registry, path = (first, rest) if is_host else ("", head)
    return _Name(registry, f"{path}/{last}" if path else last, tag, digest)


_SAME, _OTHER_TAG = 0, 1


def _rank(service: Service, own: Iterable[_Name]) -> int | None:
    """How well a service names the image; None when it does not."""
    pairs = [(_parse(name), mine) for name in service.images for mine in own]
    ranks = [_OTHER_TAG if _differs(a, b) else _SAME for a, b in pairs if _is_named(a, b)]
    return min(ranks, default=None)


def _is_named(a: _Name, b: _Name) -> bool:
    registries = {a.registry, b.registry} - {""}
    return a.repository == b.repository and len(registries) < 2


def _differs(a: _Name, b: _Name) -> bool:
    if a.digest and b.digest:
        return a.digest != b.digest
    return bool(a.tag and b.tag) and a.tag != b.tag
