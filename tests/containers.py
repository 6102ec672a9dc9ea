"""Start an image as a user would and ask it: what every route of a fixture answers."""

from __future__ import annotations

import http.client
import json
import os
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures.build import Fixture, Route
from imgslim.model import Entry

START_LIMIT_S = 40
REQUEST_LIMIT_S = 20
COMMAND_LIMIT_S = 120


@dataclass(frozen=True)
class Answer:
    """Status and body, or exit code and standard output."""

    status: int
    body: bytes


# No status and no exit code that a container can have.
NO_ANSWER = Answer(-1, b"")


@dataclass(frozen=True)
class Running:
    """A started container: its id and the address that it listens on."""

    container: str
    address: str
    port: int

    def ask(self, route: Route) -> Answer:
        """What ``route``, a request or an ``exec``, answers."""
        if route.exec:
            return command_answer(["exec", self.container, *route.exec])
        connection = http.client.HTTPConnection(self.address, self.port, timeout=REQUEST_LIMIT_S)
        try:
            connection.request(
                route.method, route.path, route.body.encode() or None, dict(route.headers)
            )
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except (OSError, http.client.HTTPException):
            return NO_ANSWER
        finally:
            connection.close()

    def logs(self) -> str:
        said = subprocess.run(["docker", "logs", self.container], capture_output=True, text=True)
        return said.stdout + said.stderr


def command_answer(arguments: Sequence[str], stdin: str = "") -> Answer:
    """Exit code and standard output of a docker command; NO_ANSWER after COMMAND_LIMIT_S."""
    try:
        done = subprocess.run(
            ["docker", *arguments],
            input=stdin.encode(),
            capture_output=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return NO_ANSWER
    return Answer(done.returncode, done.stdout)


@contextmanager
def created(tag: str, route: Route | None = None, options: Sequence[str] = ()) -> Iterator[str]:
    """A container of ``tag``, not yet started, until the block ends: its id, "" without one.

    ``route`` is what a command image is to run; None for a server. Of what is only read, an engine
    wants a command all the same.
    """
    stdin = ["--interactive"] if route and route.stdin else []
    words = () if route is None else ("/never-run",) if route.file else route.run
    program = [f"--entrypoint={route.entrypoint}"] if route and route.entrypoint else []
    made = subprocess.run(
        ["docker", "create", *options, *stdin, *program, tag, *words],
        capture_output=True,
        text=True,
    )
    container = made.stdout.strip()
    try:
        yield container
    finally:
        if container:
            subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True)


def started(container: str, port: int) -> Running | None:
    """Start a server's container; None when it ends or never listens on ``port``."""
    if (
        not container
        or subprocess.run(["docker", "start", container], capture_output=True).returncode
    ):
        return None
    return _when_listening(container, port)


def run_to_the_end(container: str, route: Route) -> Answer:
    """Start a command's container and wait for it, or read its file: a tar of that, or of all in
    it."""
    if route.file:
        return command_answer(["cp", "--follow-link", f"{container}:{route.file}", "-"])
    stdin = ["--interactive"] if route.stdin else []
    return command_answer(["start", "--attach", *stdin, container], route.stdin)


@contextmanager
def running(tag: str, port: int, options: Sequence[str] = ()) -> Iterator[Running | None]:
    """Run ``tag`` until the block ends; None when it ends or never listens on ``port``."""
    with created(tag, options=options) as container:
        yield started(container, port)


def _when_listening(container: str, port: int) -> Running | None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        state = _inspected(container)
        if not state["State"]["Running"]:
            return None
        address = state["NetworkSettings"]["IPAddress"]
        connection = http.client.HTTPConnection(address, port, timeout=2)
        try:
            connection.connect()
        except OSError:
            time.sleep(0.1)
            continue
        finally:
            connection.close()
        return Running(container, address, port)
    return None


def answers(tag: str, fixture: Fixture) -> dict[str, Answer]:
    """What ``tag`` answers on every route of ``fixture``, by route name.

    A server's routes are asked in their order, of one container. A command has a container for
    each, and routes of the same arguments have the same one.
    """
    if not fixture.port:
        runs = {_asked(route): route for route in fixture.routes}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            answered = pool.map(lambda route: _command(tag, fixture, route), runs.values())
            said = dict(zip(runs, answered, strict=True))
        return {route.name: said[_asked(route)] for route in fixture.routes}
    with running(tag, fixture.port, fixture.options) as server:
        if server is None:
            return {route.name: NO_ANSWER for route in fixture.routes}
        return {route.name: server.ask(route) for route in fixture.routes}


def _asked(route: Route) -> tuple[object, ...]:
    return route.entrypoint, route.run, route.stdin, route.file


def _command(tag: str, fixture: Fixture, route: Route) -> Answer:
    with created(tag, route, fixture.options) as container:
        return run_to_the_end(container, route)


def _inspected(container: str) -> dict[str, Any]:
    shown = subprocess.run(
        ["docker", "inspect", container], capture_output=True, text=True, check=True
    )
    facts: dict[str, Any] = json.loads(shown.stdout)[0]
    return facts


def writable_layer(container: str, paths: Iterable[str]) -> Path | None:
    """The directory with what a container changes, if hiding ``paths`` there hides them.

    None when the engine is elsewhere, has another storage driver than overlay2, or we are not
    root; and when one of the paths is in a volume, into which it was copied already.
    """
    facts = _inspected(container)
    if os.geteuid() or facts["GraphDriver"]["Name"] != "overlay2":
        return None
    volumes = facts["Config"]["Volumes"] or ()
    if any(f"{path}/".startswith(f"{volume}/") for path in paths for volume in volumes):
        return None
    layer = Path(facts["GraphDriver"]["Data"]["UpperDir"])
    return layer if layer.is_dir() else None


def hide(layer: Path, paths: Iterable[str], entries: Mapping[str, Entry]) -> None:
    """Take ``paths``, files or whole directories, out of the view of a container yet to start.

    ``entries`` has the directories above them, which get their mode and owner. A character device
    0/0 in an upper layer hides what the lower ones have under its name (the kernel's
    Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
    """
    hidden: list[str] = []
    for path in sorted(paths):
        if path.startswith(tuple(f"{above}/" for above in hidden)):
            continue
        for above in reversed(list(map(str, Path(path).parents))[:-1]):
            _directory(layer, entries[above])
        os.mknod(layer / path.lstrip("/"), stat.S_IFCHR, os.makedev(0, 0))
        hidden.append(path)


def _directory(layer: Path, entry: Entry) -> None:
    place = layer / entry.path.lstrip("/")
    if not place.is_dir():
        place.mkdir()
        os.chown(place, entry.uid, entry.gid)
        place.chmod(entry.mode)
