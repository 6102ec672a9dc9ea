"""The one seam to a container engine: Docker's API, as Docker and podman serve it.

Everything goes through the ``docker`` SDK, which is imported only when it is needed: that takes
longer than all of ``imgslim --help``.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from imgslim.errors import EngineError, ImageNotFoundError

_CONNECT_TIMEOUT_S = 30
_SAVE_CHUNK_BYTES = 1 << 20
_PODMAN_SOCKETS = ("/run/podman/podman.sock", f"/run/user/{os.getuid()}/podman/podman.sock")
_NONE = "<none>"

_STEP = re.compile(r"(?:\[\d+/\d+\] )?(step \d+(?:/\d+)?) ?: (\w+.*)", re.IGNORECASE)
_STEP_IMAGE = re.compile(r" ?-{2,3}> (?:Using cache )?([0-9a-f]{12,64})$")
_BUILT = re.compile(r"Successfully built ([0-9a-f]{12,64})$")
"""What the builders of Docker (moby, builder/dockerfile) and podman (buildah) print."""

_SHOWN_STEP = 100
_CLEANING_TRIES = 20
_CLEANING_WAIT_S = 0.5
_LAST_STEP_TRIES = 4
_LAST_STEP_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image as an engine describes it. ``size_bytes`` is what the engine says it takes,
    ``diff_ids`` are its layers' (empty where they were not asked for)."""

    id: str
    tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    size_bytes: int
    diff_ids: tuple[str, ...] = ()


def connect() -> Engine:
    """Connect to the engine that the docker command would use.

    DOCKER_HOST first, then DOCKER_CONTEXT, then the current context of the docker configuration
    (docker(1), "docker context"); DOCKER_TLS_VERIFY and DOCKER_CERT_PATH as there. Raises
    EngineError when none answers.
    """
    import docker
    from docker.errors import DockerException

    options: dict[str, Any] = {}
    try:
        options = _connection_options()
        client: Any = docker.APIClient(
            version="auto", timeout=_CONNECT_TIMEOUT_S, use_ssh_client=True, **options
        )
    except (DockerException, OSError, ValueError) as error:
        raise _no_engine(error, options.get("base_url") or "the docker socket") from error
    # Connected: from here a build's long step, or a save, may be silent for as long as it takes.
    client.timeout = None
    return Engine(client)


def _connection_options() -> dict[str, Any]:
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name
    from docker.utils import kwargs_from_env

    options: dict[str, Any] = {**kwargs_from_env()}
    if "base_url" in options:
        return options
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name() or "default"
    if ContextAPI.get_context(name) is None:
        raise EngineError(
            f"there is no docker context {name!r}",
            hint="see `docker context ls`; DOCKER_CONTEXT or `docker context use` chose it",
        )
    return {**ContextAPI.kwargs_from_context(name), **options}


def _no_engine(error: BaseException, where: str) -> EngineError:
    cause = _os_error(error)
    if isinstance(cause, PermissionError):
        return EngineError(
            f"no permission on {where}",
            hint="join the docker group, use sudo, or read an archive: docker save APP > app.tar",
        )
    why = f": {cause.strerror or cause}" if cause else f": {_one_line(str(error))}"
    podman = next((path for path in _PODMAN_SOCKETS if Path(path).exists()), None)
    hint = "start Docker or podman, set DOCKER_HOST, or name an image archive (`docker save`)"
    if podman and not os.environ.get("DOCKER_HOST"):
        hint = f"podman is here: set DOCKER_HOST=unix://{podman}"
    return EngineError(f"no container engine answers at {where}{why}", hint=hint)


def _os_error(error: BaseException | None) -> OSError | None:
    """The system's own error below the layers that requests and urllib3 wrap around it."""
    seen: set[int] = set()
    pending = [error]
    found: OSError | None = None
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, OSError) and one.errno is not None:
            found = one
        inner = [arg for arg in one.args if isinstance(arg, BaseException)]
        pending.extend([one.__cause__, one.__context__, *inner])
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())


class Engine:
    """A connection. All methods raise EngineError, and ImageNotFoundError where they name one."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def inspect(self, reference: str) -> EngineImage:
        """What the engine knows of an image; a name without a tag means ``latest``."""
        with _calls(reference):
            found = self._client.inspect_image(reference)
        return _described(found)

    def images(self) -> tuple[EngineImage, ...]:
        """All images that have a name, the smallest first; not those that go meanwhile."""
        with _calls():
            rows = self._client.images()
        found = []
        for row in rows:
            with suppress(ImageNotFoundError):
                found.append(self.inspect(_described(row).id))
        named = (image for image in found if image.tags)
        return tuple(sorted(named, key=lambda image: (image.size_bytes, image.tags)))

    def save(self, reference: str) -> Iterator[bytes]:
        """Stream the archive that ``docker save`` would write."""
        with _calls(reference), self._connection_closed():
            yield from self._client.get_image(reference, chunk_size=_SAVE_CHUNK_BYTES)

    def load(self, archive: BinaryIO) -> str:
        """Load an archive; what the engine calls the (last) image, its name or id."""
        loaded = ""
        with _calls():
            for row in self._client.load_image(archive):
                if "error" in row:
                    raise EngineError(
                        f"the engine cannot load the archive: {_one_line(row['error'])}",
                        hint="check it with --check-digests",
                    )
                match = re.match(r"Loaded image(?: ID)?: (\S+)", row.get("stream", ""))
                loaded = match[1] if match else loaded
        return loaded

    def tag(self, image_id: str, reference: str) -> None:
        """Give an image a name; another image that had it loses it."""
        repository, colon, tag = reference.rpartition(":")
        if not colon or "/" in tag:
            repository, tag = reference, "latest"
        with _calls(image_id):
            self._client.tag(image_id, repository, tag, force=True)

    def remove(self, reference: str) -> None:
        """Remove an image, or one name of it; untagged parents go with it."""
        with _calls(reference):
            self._client.remove_image(reference)

    def build(
        self,
        dockerfile: str,
        tag: str | None = None,
        on_line: Callable[[str], None] | None = None,
        *,
        files: Sequence[Path] = (),
    ) -> str:
        """Build a Dockerfile, in a context of ``files`` alone, from nothing cached; return the
        image's id.

        ``on_line`` gets the builder's output. Whatever happens, Ctrl-C too, no container and no
        image of an earlier stage or an unfinished build stays, unless it was there before. The
        EngineError of a failed build names the step.
        """
        with _calls():
            before = {_hex(one) for one in self._client.images(quiet=True, all=True)}
        build = _Build(on_line or (lambda line: None))
        result = ""
        try:
            self._stream_build(build, dockerfile, tag, files)
            if not build.image_id:
                raise EngineError("the build ended without an image", hint="see the engine's log")
            result = self.inspect(build.image_id).id
            return result
        except (KeyboardInterrupt, SystemExit):
            self._await_last_step(build, before)
            raise
        finally:
            self._remove_leftovers(build.new_ids(before), _hex(result))

    def _stream_build(
        self, build: _Build, dockerfile: str, tag: str | None, files: Sequence[Path]
    ) -> None:
        with _calls(), self._connection_closed(), _context(dockerfile, files) as context:
            rows = self._client.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                rm=True,
                forcerm=True,
                # The legacy builder's cache brings an earlier build's times.
                nocache=True,
                decode=True,
            )
            for row in rows:
                build.read(row)

    @contextmanager
    def _connection_closed(self) -> Iterator[None]:
        """Close the connection of a streaming call, however it ends: an engine builds or saves on
        while somebody might listen, and the SDK leaves that to the garbage collector."""
        responses: list[Any] = []

        def note(response: Any, **_: Any) -> None:
            responses.append(response)

        hooks = self._client.hooks["response"]
        hooks.append(note)
        try:
            yield
        finally:
            hooks.remove(note)
            for response in responses:
                response.close()

    def _await_last_step(self, build: _Build, before: set[str]) -> None:
        """After a build was called off: its last step may yet finish, unseen; note its image."""
        for _ in range(_LAST_STEP_TRIES):
            time.sleep(_LAST_STEP_WAIT_S)
            with _calls():
                images = self._client.images(all=True)
            for image in images:
                own, parent = _hex(image["Id"]), _hex(image.get("ParentId") or "")
                made = tuple(build.new_ids(before))
                if parent.startswith(made) and not own.startswith(made) and own not in before:
                    build.ids.append(own)

    def _remove_leftovers(self, made: list[str], result: str) -> None:
        """Remove the images that only led to the one that was built (result), or to none ("").

        After a failure the builder's last container is in the way for a moment.
        """
        pending = [one for one in made if not result.startswith(one)]
        for _ in range(1 if result else _CLEANING_TRIES):
            # Last first: an image with children cannot be removed.
            pending = [one for one in reversed(pending) if not self._removed(one)][::-1]
            if not pending or result:
                break
            time.sleep(_CLEANING_WAIT_S)

    def _removed(self, image_id: str) -> bool:
        """Remove an image that has no name; False where something still needs it."""
        from docker.errors import APIError, NotFound

        try:
            found = self._client.inspect_image(image_id)
            if not found.get("RepoTags") and not found.get("RepoDigests"):
                self._client.remove_image(image_id, noprune=True)
        except NotFound:
            return True
        except APIError:
            return False
        return True


def _described(row: dict[str, Any]) -> EngineImage:
    return EngineImage(
        id=row["Id"],
        tags=tuple(tag for tag in row.get("RepoTags") or () if _NONE not in tag),
        repo_digests=tuple(one for one in row.get("RepoDigests") or () if _NONE not in one),
        size_bytes=row.get("Size") or 0,
        diff_ids=tuple((row.get("RootFS") or {}).get("Layers") or ()),
    )


class _Build:
    """What the output of a build tells: its steps, the images on the way, how it ended."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._step = ""
        self._partial = ""
        self.image_id = ""
        self.ids: list[str] = []

    def new_ids(self, before: set[str]) -> list[str]:
        """The (shortened) ids of images that were made, in order."""
        return [
            short
            for short in dict.fromkeys(self.ids)
            if not any(full.startswith(short) for full in before)
        ]

    def read(self, row: dict[str, Any]) -> None:
        """Take one row of the stream. Raises EngineError when it says that the build failed."""
        if "error" in row:
            step = f" at {self._step}" if self._step else ""
            raise EngineError(
                f"the build failed{step}: {_one_line(str(row['error']))}",
                hint="run again with --verbose to see the builder's output",
            )
        if isinstance(row.get("aux"), dict):
            self.image_id = row["aux"].get("ID") or self.image_id
        self._partial += row.get("stream") or ""
        *lines, self._partial = self._partial.split("\n")
        for line in lines:
            self._line(line.rstrip("\r"))

    def _line(self, line: str) -> None:
        if line:
            self._on_line(line)
        if match := _STEP.match(line):
            self._step = f"{match[1].lower()} ({match[2][:_SHOWN_STEP]})"
        elif match := _STEP_IMAGE.match(line):
            self.ids.append(match[1])
        elif match := _BUILT.match(line):
            self.image_id = self.image_id or match[1]


def _hex(image_id: str) -> str:
    return image_id.removeprefix("sha256:")


@contextmanager
def _context(dockerfile: str, files: Sequence[Path]) -> Iterator[BinaryIO]:
    """A build's context as a tar, for as long as it is needed."""
    with tempfile.TemporaryFile(prefix="imgslim-") as spool:
        data = dockerfile.encode("utf-8", "surrogateescape")
        with tarfile.open(fileobj=spool, mode="w", dereference=True) as archive:
            member = tarfile.TarInfo("Dockerfile")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            for path in files:
                archive.add(path, arcname=path.name)
        spool.seek(0)
        yield spool


@contextmanager
def _calls(image: str = "") -> Iterator[None]:
    """Turn whatever the SDK raises into one line. ``image`` is what the call names."""
    from docker.errors import APIError, DockerException, NotFound, StreamParseError
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except NotFound as error:
        if not image:
            raise EngineError(_explain(error), hint="see the engine's log") from error
        raise ImageNotFoundError(
            f"the engine has no image {image}",
            hint=f"see `docker images`; `docker pull {image}` fetches it",
        ) from error
    except APIError as error:
        raise EngineError(_explain(error), hint="see the engine's log") from error
    except (DockerException, StreamParseError, RequestException, HTTPError, OSError) as error:
        raise EngineError(
            f"the connection to the engine broke: {_one_line(str(error))}",
            hint="does it still run? see the engine's log",
        ) from error


def _explain(error: Any) -> str:
    return f"the engine refuses: {_one_line(str(error.explanation or error))}"
