"""What the image runs: entrypoint, cmd, healthcheck, what the user's deployment files start, and
the commands that the user adds.

Nothing else starts the closure but these, the variables of the config, and the user's own files.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from imgslim.commands import (
    Argv,
    Place,
    join,
    locate,
    nearest_names,
    resolve_command,
)
from imgslim.environment import is_search_path, searched_needs, variable_needs
from imgslim.errors import EntrypointError, UnsupportedImageError, UsageError
from imgslim.model import Command, Finding, Group, ImageConfig, Need, Problem, Scope, Severity
from imgslim.model.service import Probe, Service
from imgslim.platforms import explain_command, platform_commands
from imgslim.world import World

_OPERATORS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<"})


def resolve_roots(
    world: World, also_run: Sequence[str] = ()
) -> tuple[tuple[Command, ...], tuple[Finding, ...]]:
    """The commands that the image runs, and what its config needs besides.

    An image of data, which runs nothing, needs all of itself. Raises UnsupportedImageError when
    nothing says what a system runs, or it is something that a platform interprets and no file
    stands for; EntrypointError when a program is not in the image;
    UsageError for an ``also_run`` that is no command line.
    """
    found: list[Finding] = []
    if main_argv(world) or not (also_run or world.services):
        found += _main_command(world)
    for text in also_run:
        found += _also_run(world, text)
    found += _arguments(world)
    found += _healthcheck(world)
    found += _user(world)
    for service in world.services:
        found += _service(world, service)
    for name, value in dict(world.config.env).items():
        found += variable_needs(world, name, value, f"<env {name}>")
    because = {
        "<entrypoint>",
        "<cmd>",
        "<arguments>",
        "<healthcheck>",
        *(f"<also-run {t}>" for t in also_run),
    }
    because |= {
        service.label(what)
        for service in world.services
        for what in ("", *(probe.what for probe in service.probes))
    }
    commands = [f for f in found if isinstance(f, Command) and f.because in because]
    others = [f for f in found if f not in commands]
    return tuple(dict.fromkeys(commands)), tuple(others)


def main_argv(world: World) -> Argv:
    """What an engine executes: the entrypoint with the cmd appended (OCI image spec, config.md).

    A shell-form entrypoint takes no arguments: cmd's words become the string's ``$0`` and ``$@``,
    which it does not use (Docker, "Understand how CMD and ENTRYPOINT interact").
    """
    config = world.config
    return (*(config.entrypoint or ()), *(config.cmd or ()))


def _arguments(world: World) -> Iterator[Finding]:
    """The cmd as a command of its own: most entrypoints run their arguments, and a program that
    does so (an init, a launcher) shows it to nobody. A shell-form entrypoint does not."""
    config = world.config
    if config.entrypoint and config.cmd and config.entrypoint[1:2] != ("-c",):
        yield from resolve_command(world, config.cmd, "<arguments>")


def _main_command(world: World) -> Iterator[Finding]:
    argv = main_argv(world)
    if not argv or not argv[0]:
        yield from _data(world)
        return
    label = "<entrypoint>" if world.config.entrypoint else "<cmd>"
    yield from _started(world, argv, label)


def _data(world: World) -> Iterator[Finding]:
    """An image that runs nothing is there for its files: a site, a set of data that other builds
    and volumes copy from it. With system packages it is a system of which nobody says the use."""
    if world.packages.packages:
        raise UnsupportedImageError(
            "the image has no entrypoint and no cmd: nothing says what it runs",
            hint="say what it runs with --also-run 'CMD'",
        )
    yield Need("/", Group.APP, "files of an image that runs nothing", "<data>", Scope.TREE)
    yield Problem(
        "runs-nothing",
        Severity.WARNING,
        "",
        "the image has no entrypoint and no cmd, and no system packages: data that others read",
        "every file is kept; if something runs after all, say so with --also-run 'CMD'",
    )


def _started(world: World, argv: Argv, label: str, place: Place | None = None) -> Iterator[Finding]:
    """What an engine starts, which a platform's own launcher may interpret."""
    special = list(platform_commands(world, argv, label))
    yield from special
    if not any(isinstance(finding, Command) for finding in special):
        yield from _required(world, argv, label, place)


def _required(
    world: World, argv: Argv, label: str, place: Place | None = None
) -> Iterator[Finding]:
    """A command without which the container does not start."""
    found = list(resolve_command(world, argv, label, place))
    if not found:
        explanation = explain_command(world, argv)
        if explanation:
            raise UnsupportedImageError(
                f"{label} {argv[0]}: {explanation}",
                hint="say which program runs with --also-run 'CMD'",
            )
        raise EntrypointError(_not_found(world, argv[0], label, place), hint=_hint(world, argv[0]))
    yield from found


def _not_found(world: World, word: str, label: str, place: Place | None = None) -> str:
    place = place or Place.of(world)
    if "/" not in word:
        path = ":".join(place.search_path)
        return f"{label} {word} is not in the image (searched PATH: {path})"
    resolved = world.rootfs.resolve(word, base=place.directories[0])
    if resolved.entry is None:
        leads = "" if not resolved.links else f" (it is a link to {resolved.path})"
        return f"{label} {word} is not in the image{leads}"
    kind = resolved.entry.kind.value
    if resolved.entry.is_file:
        return f"{label} {word} is not executable in the image"
    return f"{label} {word} is a {kind}, not a program"


def _hint(world: World, word: str) -> str:
    near = nearest_names(world, word)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return "check the name, and PATH in the image's environment"


def _also_run(world: World, text: str) -> Iterator[Finding]:
    """A command line of the user's; what only a shell understands must say so."""
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            f"--also-run {text!r}: {error}", hint="quote it as a shell would"
        ) from None
    if not argv:
        raise UsageError("--also-run is empty", hint="give a command, e.g. --also-run 'sh'")
    if _OPERATORS & set(argv):
        raise UsageError(
            f"--also-run {text!r} uses shell operators",
            hint=f"write it as --also-run {shlex.quote('sh -c ' + shlex.quote(text))}",
        )
    yield from _required(world, argv, f"<also-run {text}>")


def _healthcheck(world: World) -> Iterator[Finding]:
    """The probe (moby's ``HealthConfig.Test``): a command, a string for a shell, or none."""
    check = world.config.healthcheck
    if check is None or not check.test or check.test[0] == "NONE":
        return
    form, *words = check.test
    if words:
        probe = Probe("healthcheck", tuple(words), in_shell=form == "CMD-SHELL")
        yield from _probe(world, probe, "<healthcheck>")


def _probe(world: World, probe: Probe, label: str, place: Place | None = None) -> Iterator[Finding]:
    """A command that is executed in the container when that runs."""
    shell = (world.config.shell or ("/bin/sh", "-c")) if probe.in_shell else ()
    argv = (*shell, *probe.argv)
    found = list(resolve_command(world, argv, label, place))
    yield from found
    if not found:
        whose = "" if label == f"<{probe.what}>" else f" of {label}"
        yield Problem(
            "missing-healthcheck",
            Severity.WARNING,
            "",
            _not_found(world, argv[0], f"the {probe.what}'s program{whose}", place),
            f"the {probe.what} fails in the fat image as well",
        )


def _service(world: World, service: Service) -> Iterator[Finding]:
    """A container of the user's deployment files, with its own variables and directory."""
    label = service.label()
    place = _place(world, service)
    yield from _about(service)
    entrypoint, command = _override(world.config, service)
    argv = (*entrypoint, *command)
    mounted = bool(argv) and _may_be_mounted(service, argv[0], place)
    if mounted and locate(world, argv[0], place) is None:
        yield Problem(
            "mounted-program",
            Severity.WARNING,
            "",
            f"{label} runs {argv[0]}, which is not in the image but may be in what is mounted",
            "name what it needs of the image with --also-run",
        )
    elif argv and argv[0]:
        yield from _started(world, argv, label, place)
    if entrypoint and service.command and entrypoint[1:2] != ("-c",):
        yield from resolve_command(world, service.command, service.label("arguments"), place)
    for probe in service.probes:
        yield from _probe(world, probe, service.label(probe.what), place)
    for name, value in service.env:
        yield from variable_needs(world, name, value, label, place)
        if is_search_path(name) and value != world.config.env_value(name):
            yield from searched_needs(world, name, value, label, place, by=label)


def _override(config: ImageConfig, service: Service) -> tuple[Argv, Argv]:
    """Entrypoint and cmd of a container as an engine merges them with those of the image (moby,
    daemon/commit.go, merge; Kubernetes' containers give their command as an entrypoint)."""
    entrypoint, command = service.entrypoint, service.command
    if not entrypoint:
        command = command or config.cmd
        entrypoint = config.entrypoint if entrypoint is None else ()
    return ((), command or ()) if entrypoint == ("",) else (entrypoint or (), command or ())


def _place(world: World, service: Service) -> Place:
    home = join(world.working_dir, service.working_dir or ".")
    path = dict(service.env).get("PATH")
    if path is None:
        return Place((home,), world.search_path)
    return Place((home,), tuple(join(home, part) for part in path.split(":")))


def _may_be_mounted(service: Service, word: str, place: Place) -> bool:
    """Whether the file that a word runs may be in a volume, whose content nothing here knows."""
    directories = place.directories if "/" in word else place.search_path
    mounts = tuple(f"{mount.rstrip('/')}/" for mount in service.mounts if mount)
    return any(f"{join(directory, word)}/".startswith(mounts) for directory in directories)


def _about(service: Service) -> Iterator[Problem]:
    if service.other_image:
        yield Problem(
            "deployment-image",
            Severity.INFO,
            "",
            f"{service.label()} runs {service.other_image}: taken for this image",
            "choose with --service NAME if that is another one",
        )
    if service.unset:
        yield Problem(
            "unset-variable",
            Severity.WARNING,
            "",
            f"{service.label()} uses {', '.join(service.unset)}, set neither here nor in .env",
            "taken as empty, as Compose does",
        )
    for unknown in service.unknown:
        yield Problem(
            "unknown-variables",
            Severity.WARNING,
            "",
            f"{service.label()} takes variables from {unknown}, which is not here",
            "what only they name is not kept: --keep it, --also-run what they run",
        )


def _user(world: World) -> Iterator[Problem]:
    """USER by name must be in /etc/passwd and /etc/group (moby, daemon getUser)."""
    user, _, group = world.config.user.partition(":")
    for name, path, what in ((user, "/etc/passwd", "user"), (group, "/etc/group", "group")):
        if name and not name.isdigit() and name not in _names_in(world, path):
            yield Problem(
                f"unknown-{what}",
                Severity.WARNING,
                path,
                f"has no {what} {name}, which the image runs as",
                "an engine refuses to start such an image, the fat one as well",
            )


def _names_in(world: World, path: str) -> frozenset[str]:
    lines = world.rootfs.read_text(path).splitlines()
    return frozenset(line.partition(":")[0] for line in lines)
