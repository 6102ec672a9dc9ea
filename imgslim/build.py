"""Build a slim image with the engine, weigh it and verify it; nothing else stays in the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from imgslim.dockerfile import base_reference
from imgslim.engine import Engine, EngineImage, connect
from imgslim.errors import EngineError, ImageNotFoundError, UsageError
from imgslim.layers import load_layers
from imgslim.model import Image
from imgslim.rootfs import Rootfs
from imgslim.sources import open_image
from imgslim.sources.location import Location, Transport, parse_location
from imgslim.sources.reference import canonical
from imgslim.verify import Expected, Verification, verify_image

_LOADABLE = (Transport.ARCHIVE, Transport.DOCKER_ARCHIVE, Transport.OCI_ARCHIVE)


@dataclass(frozen=True, slots=True)
class Built:
    """A built image. ``size_bytes`` are regular files over all layers, a hard link once;
    ``verification`` compares it with the plan, if that was asked for."""

    image_id: str
    size_bytes: int
    verification: Verification | None = None


def build_slim(
    location: str,
    image: Image,
    dockerfile: str,
    tag: str,
    on_line: Callable[[str], None] | None = None,
    expected: Expected | None = None,
    *,
    files: Sequence[Path] = (),
) -> Built:
    """Build ``dockerfile`` as ``tag`` in a context that holds ``files``, save the result, measure
    it and compare it with what is ``expected`` of it.

    ``image`` is the fat one, as it was read from ``location``; one that is no engine's is loaded
    for the build and removed again if it was not there before. ``on_line`` gets the builder's
    output. Raises EngineError, UsageError.
    """
    base = base_reference(image)
    if canonical(tag) == canonical(base):
        raise UsageError(
            f"{tag} is the fat image's own name",
            hint="name the slim image differently: -t NAME:TAG",
        )
    with connect() as engine, _base_in_engine(engine, location, image, base):
        image_id = engine.build(dockerfile, tag, on_line, files=files)
    return read_built(image_id, expected)


def read_built(image_id: str, expected: Expected | None = None) -> Built:
    """The measures of an image in the engine, which is saved once for all of them."""
    with open_image(f"docker-daemon:{image_id}") as image:
        layers = load_layers(image)
        built = Built(image_id, sum(layer.size_bytes for layer in layers))
        if expected is None:
            return built
        with Rootfs.of_layers(layers) as rootfs:
            return replace(built, verification=verify_image(expected, image, rootfs))


def measure_image(reference: str) -> int:
    """Bytes of regular files over all layers of an image in the engine, a hard link once."""
    return read_built(reference).size_bytes


@contextmanager
def _base_in_engine(engine: Engine, location: str, image: Image, base: str) -> Iterator[None]:
    """While this is open the engine knows the fat image as ``base``."""
    place = parse_location(location)
    found = {name: _look_up(engine, name) for name in {base, *image.tags}}
    if place.transport is not Transport.DAEMON:
        _refuse_other_images(found, image)
    with ExitStack() as stack:
        if found[base] is None:
            present = _look_up(engine, image.image_id)
            known = present.id if present else _load(engine, place, image)
            if present is None or present.tags:
                # Else it was there without a name: with its only name the engine removes it.
                for name in (name for name, other in found.items() if other is None):
                    stack.callback(_forget, engine, name)
            if _look_up(engine, base) is None:
                engine.tag(known, base)
        yield


def _refuse_other_images(found: Mapping[str, EngineImage | None], image: Image) -> None:
    """A name that the archive would take from another image is the user's to decide about."""
    for name, other in found.items():
        if other is not None and other.id != image.image_id:
            raise EngineError(
                f"the engine's {name} is another image than the archive's",
                hint=f"rewrite that one (docker-daemon:{name}), or rename it for this build",
            )


def _load(engine: Engine, place: Location, image: Image) -> str:
    if place.transport not in _LOADABLE:
        hint = f"load it first ({image.load_command or 'docker load'}) and name it as it is there"
        raise UsageError(f"--build cannot load {image.reference} into the engine", hint=hint)
    with Path(place.path).open("rb") as archive:
        return engine.load(archive) or image.image_id


def _look_up(engine: Engine, reference: str) -> EngineImage | None:
    try:
        return engine.inspect(reference)
    except ImageNotFoundError:
        return None


def _forget(engine: Engine, reference: str) -> None:
    if _look_up(engine, reference) is not None:
        engine.remove(reference)
