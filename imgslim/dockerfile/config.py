"""An image's config as Dockerfile instructions, such that the built config equals the original.

Source: the Dockerfile reference, and the word expansion of moby's and BuildKit's
``shell/lex.go``: ENV, LABEL, EXPOSE, VOLUME, USER, WORKDIR and STOPSIGNAL are expanded (quotes,
``$``, backslash), the JSON forms of CMD, ENTRYPOINT, SHELL and HEALTHCHECK are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from imgslim.copyplan.words import is_text, json_word
from imgslim.model import Healthcheck, ImageConfig, Problem, Severity

_BARE = re.compile(r"[A-Za-z0-9_./:@%+=,-]+")
_CANNOT_SAY = "a Dockerfile cannot say the image's "
UNWRITABLE = "unwritable-config"
"""The code of what no Dockerfile can say of a config."""

_DURATIONS = ((3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"))


def render_config(config: ImageConfig) -> list[str]:
    """The instructions, one a line, in an order in which none undoes another.

    What no Dockerfile can say is left out: ``config_problems`` names it.
    """
    return [line for line, sayable, _ in _instructions(config) if sayable]


def config_problems(config: ImageConfig) -> list[Problem]:
    """A problem for each value that no Dockerfile can say (trap 24)."""
    return [
        Problem(
            UNWRITABLE,
            Severity.WARNING,
            "",
            f"{_CANNOT_SAY}{what}: it has a line break, bytes that are not UTF-8, or a name "
            "that no instruction takes",
            "it is missing from the slim image's config: pass it when the container starts",
        )
        for _, sayable, what in _instructions(config)
        if not sayable
    ]


def told_unsayable(problems: Iterable[Problem], fields: Iterable[str]) -> tuple[str, ...]:
    """Those of ``fields`` that the ``config_problems`` among ``problems`` name."""
    told = [one.message.removeprefix(_CANNOT_SAY) for one in problems if one.code == UNWRITABLE]
    return tuple(what for what in fields if any(text.startswith(f"{what}: ") for text in told))


def unsayable_values(config: ImageConfig) -> tuple[str, ...]:
    """What no Dockerfile can say, in the words of ``config_problems``: ``variable X``, ``CMD``."""
    return tuple(what for _, sayable, what in _instructions(config) if not sayable)


_Instruction = tuple[str, bool, str]


def _instructions(config: ImageConfig) -> Iterator[_Instruction]:
    """Each instruction with whether it can be said, and what it is.

    SHELL stands before what is in shell form, USER after WORKDIR (which makes a directory that is
    missing, as its user), CMD after ENTRYPOINT, which resets it.
    """
    for name, value in config.env:
        yield _line(f"ENV {name}={_quoted(value)}", name + value, f"variable {name}")
    for name, value in config.labels:
        text, sayable, what = _line(
            f"LABEL {_quoted(name)}={_quoted(value)}", name + value, f"label {name}"
        )
        # The first equals sign ends the name, quoted or not.
        yield text, sayable and bool(name) and "=" not in name, what
    if config.exposed_ports:
        ports = " ".join(map(_escaped, config.exposed_ports))
        yield _line(f"EXPOSE {ports}", ports, "exposed ports")
    if config.volumes:
        volumes = [path.replace("\\", "\\\\").replace("$", "\\$") for path in config.volumes]
        yield _line(f"VOLUME {_json(volumes)}", "".join(volumes), "volumes")
    for keyword, value in (
        ("WORKDIR", config.working_dir),
        ("USER", config.user),
        ("STOPSIGNAL", config.stop_signal),
    ):
        if value:
            yield _line(f"{keyword} {_escaped(value)}", value, keyword)
    if config.shell is not None:
        yield _json_line("SHELL", config.shell)
    if config.healthcheck is not None and config.healthcheck.test:
        yield _healthcheck(config.healthcheck)
    for trigger in config.on_build:
        yield _line(f"ONBUILD {trigger}", trigger, f"ONBUILD {trigger.split()[0]}")
    if config.entrypoint is not None:
        yield _json_line("ENTRYPOINT", config.entrypoint)
    if config.cmd is not None:
        yield _json_line("CMD", config.cmd)


def _line(text: str, value: str, what: str) -> _Instruction:
    return text, is_text(value) and not re.search(r"[\n\r]", value), what


def _json_line(keyword: str, words: Sequence[str]) -> _Instruction:
    """JSON can say a line break, but no byte that is not UTF-8."""
    return f"{keyword} {_json(words)}", all(map(is_text, words)), keyword


def _json(words: Sequence[str]) -> str:
    return "[" + ", ".join(map(json_word, words)) + "]"


def _quoted(value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    return '"' + re.sub(r'["\\$]', r"\\\g<0>", value) + '"'


def _escaped(value: str) -> str:
    return re.sub(r"[\"'\\$]", r"\\\g<0>", value)


def _healthcheck(check: Healthcheck) -> _Instruction:
    kind, words = check.test[0], check.test[1:]
    if kind == "NONE":
        return "HEALTHCHECK NONE", True, "HEALTHCHECK"
    options = "".join(f"{name}={value} " for name, value in _options(check))
    if kind == "CMD":
        return _prefixed(f"HEALTHCHECK {options}", _json_line("CMD", words))
    command = " ".join(words)
    return _line(f"HEALTHCHECK {options}CMD {command}", command, "HEALTHCHECK")


def _prefixed(prefix: str, instruction: _Instruction) -> _Instruction:
    line, sayable, _ = instruction
    return prefix + line, sayable, "HEALTHCHECK"


def _options(check: Healthcheck) -> Iterator[tuple[str, str]]:
    durations: dict[str, int] = {
        "--interval": check.interval_ns,
        "--timeout": check.timeout_ns,
        "--start-period": check.start_period_ns,
        "--start-interval": check.start_interval_ns,
    }
    for name, value in durations.items():
        if value:
            yield name, _duration(value)
    if check.retries:
        yield "--retries", str(check.retries)


def _duration(nanoseconds: int) -> str:
    """A duration as Go's ``time.ParseDuration`` reads it, in the largest whole unit."""
    unit: Callable[[tuple[int, str]], bool] = lambda row: nanoseconds % row[0] == 0  # noqa: E731
    size, name = next(filter(unit, _DURATIONS), (1, "ns"))
    return f"{nanoseconds // size}{name}"
