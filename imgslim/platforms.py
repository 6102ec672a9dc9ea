"""Commands that are no paths, because a platform interprets them: buildpacks and AWS Lambda."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imgslim.commands import Argv, Place, join, name_of, resolve_command, split_words
from imgslim.model import Finding, Group, Need, Problem, Severity
from imgslim.world import World

_LAUNCHER = "/cnb/lifecycle/launcher"
_PROCESS_DIRECTORY = "/cnb/process/"
_BUILDPACK_LABEL = "io.buildpacks.build.metadata"
"""Where a buildpack image keeps its launcher and processes (buildpacks spec, platform.md)."""

_HANDLER = re.compile(r"[\w./-]+\.\w+|[\w.]+::\w+(::\w+)?")
"""``module.function`` or ``Class::method`` (AWS Lambda developer guide, handlers)."""

_HANDLER_SUFFIXES = (".py", ".js", ".mjs", ".cjs", ".rb")


def platform_commands(world: World, argv: Argv, label: str) -> Iterator[Finding]:
    """The commands behind a platform's own words, and what to say about them.

    Nothing at all for an ordinary command line; no Command when the words are only explained.
    """
    if is_launcher(world, argv):
        yield from _process_commands(world, argv, label)
    elif is_lambda(world, argv) and len(argv) > 1 and _HANDLER.fullmatch(argv[-1]):
        yield from _handler(world, argv[-1], label)


def explain_command(world: World, argv: Argv) -> str:
    """Why a command that is not in the image may be none; "" when nothing speaks for that."""
    word = argv[0]
    if any(name.startswith("io.buildpacks.") for name, _ in world.config.labels):
        return "a buildpack's process type, and the image lacks the launcher that knows it"
    if is_lambda(world, argv) and _HANDLER.fullmatch(word):
        return "a Lambda handler, and the image lacks the runtime that loads it"
    if world.config.env_value("DYNO") or world.rootfs.get("/app/Procfile"):
        return "a process type of a Procfile, which the platform looks up"
    return ""


def is_lambda(world: World, argv: Argv) -> bool:
    """Whether the image is made for AWS Lambda (AWS base images, awslambdaric README)."""
    return world.config.env_value("LAMBDA_TASK_ROOT") is not None or any(
        name_of(word) in ("lambda-entrypoint.sh", "awslambdaric") for word in argv
    )


def _handler(world: World, handler: str, label: str) -> Iterator[Finding]:
    root = world.config.env_value("LAMBDA_TASK_ROOT") or world.working_dir
    module = handler.rpartition(".")[0].replace(".", "/") if "::" not in handler else ""
    for suffix in _HANDLER_SUFFIXES if module else ():
        path = join(root, module + suffix)
        yield Need(path, Group.APP, "the Lambda handler's module", label, optional=True)
    yield Problem(
        "lambda-handler",
        Severity.INFO,
        "",
        f"{handler} is a Lambda handler, not a program: the runtime loads it from {root}",
        "the app's own files and the runtime that the entrypoint starts are kept",
    )


def is_launcher(world: World, argv: Argv) -> bool:
    """Whether a command is the buildpacks' launcher, or a link to it that names a process."""
    if not argv:
        return False
    resolved = world.rootfs.resolve(argv[0], base=world.working_dir)
    return resolved.entry is not None and resolved.path == _LAUNCHER


def _process_commands(world: World, argv: Argv, label: str) -> Iterator[Finding]:
    yield from resolve_command(world, argv, label)
    place = _launch_place(world)
    process = _chosen_process(world, argv)
    words = _process_words(process) if process else argv[1:]
    found = list(resolve_command(world, words, label, place)) if words else []
    yield from found
    if found:
        text, severity = "is run by the buildpacks' launcher", Severity.INFO
    else:
        text, severity = "is not found among the image's files", Severity.WARNING
    what = " ".join(words) or "the process"
    name = f"process type {process['type']}: " if process else ""
    yield Problem(
        "buildpack-process",
        severity,
        "",
        f"{name}{what} {text}",
        "the launcher, the layers and the program are kept"
        if found
        else "say what runs with --also-run 'CMD'",
    )


def _chosen_process(world: World, argv: Argv) -> Mapping[str, Any] | None:
    """The process that the launcher picks (platform.md, "launcher"): by link, word, or default."""
    processes, default = _processes(world)
    by_type = {process.get("type"): process for process in processes}
    named = [name_of(argv[0])] if argv[0].startswith(_PROCESS_DIRECTORY) else [*argv[1:2]]
    if named:
        return by_type.get(named[0])
    chosen = world.config.env_value("CNB_PROCESS_TYPE") or default
    if chosen in by_type:
        return by_type[chosen]
    return next((process for process in processes if process.get("default")), by_type.get("web"))


def _processes(world: World) -> tuple[Sequence[Mapping[str, Any]], str]:
    """The processes from the launcher's own metadata, else from the label, and the default."""
    layers = world.config.env_value("CNB_LAYERS_DIR") or "/layers"
    text = world.rootfs.read_text(join(layers, "config/metadata.toml"))
    label = dict(world.config.labels).get(_BUILDPACK_LABEL, "")
    try:
        data = tomllib.loads(text) if text else json.loads(label or "{}")
    except ValueError:
        return (), ""
    return data.get("processes") or (), data.get("buildpack-default-process-type", "")


def _process_words(process: Mapping[str, Any]) -> Argv:
    """A process's command line; one that is not direct is a string for bash."""
    command, arguments = process.get("command", ()), tuple(process.get("args") or ())
    words = (command,) if isinstance(command, str) else tuple(command)
    if isinstance(command, str) and not process.get("direct") and not arguments:
        plain = split_words(command)
        return ("bash", "-c", command) if len(plain) > 1 else tuple(plain)
    return (*words, *arguments)


def _launch_place(world: World) -> Place:
    """Where the launcher looks: the app, and ``bin`` of each layer before PATH."""
    layers = world.config.env_value("CNB_LAYERS_DIR") or "/layers"
    app = world.config.env_value("CNB_APP_DIR") or world.config.working_dir or "/workspace"
    bins = tuple(entry.path for entry in world.rootfs.glob(f"{layers}/*/*/bin"))
    return Place((app,), (*bins, *world.search_path))
