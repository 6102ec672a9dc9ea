"""Start an image as a user would and ask it: status and body of every route of a fixture."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fixtures.build import Fixture, Route

START_LIMIT_S = 40
REQUEST_LIMIT_S = 20


@dataclass(frozen=True)
class Answer:
    """What a route said; status 0 when there was no answer at all."""

    status: int
    body: bytes


NO_ANSWER = Answer(0, b"")


@dataclass(frozen=True)
class Running:
    """A started container: its id and the address that it listens on."""

    container: str
    address: str
    port: int

    def ask(self, route: Route) -> Answer:
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


@contextmanager
def running(tag: str, port: int, options: Sequence[str] = ()) -> Iterator[Running | None]:
    """Run ``tag`` until the block ends; None when it ends or never listens on ``port``."""
    started = subprocess.run(
        ["docker", "run", "--detach", *options, tag], capture_output=True, text=True
    )
    container = started.stdout.strip()
    if not container:
        yield None
        return
    try:
        if started.returncode:
            yield None
            return
        yield _when_listening(container, port)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True)


def _when_listening(container: str, port: int) -> Running | None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        shown = subprocess.run(
            ["docker", "inspect", container], capture_output=True, text=True, check=True
        )
        state = json.loads(shown.stdout)[0]
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
    """What ``tag`` answers on every route of ``fixture``, in their order; by route name."""
    with running(tag, fixture.port) as server:
        if server is None:
            return {route.name: NO_ANSWER for route in fixture.routes}
        return {route.name: server.ask(route) for route in fixture.routes}
