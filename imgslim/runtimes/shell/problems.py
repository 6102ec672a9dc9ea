"""What is said of a script where it could not be followed, with the line."""

from __future__ import annotations

from collections.abc import Iterator

from imgslim.model import Problem, Severity
from imgslim.runtimes.shell.facts import Facts

MISSING = ("which are not in the image", "nothing to keep; the script may not come to them")
NOT_FOLLOWED = (
    "but nothing is seen to run this script, and it looks like one that builds or deploys",
    "these programs are not kept for it; --also-run the script if it runs in the container",
)


def listed_problems(
    code: str, verb: str, found: dict[str, list[str]], text: tuple[str, str]
) -> Iterator[Problem]:
    for script, names in found.items():
        path = "" if script.startswith("<") else script
        what = ", ".join(dict.fromkeys(names))
        yield Problem(code, Severity.INFO, path, f"{verb} {what}, {text[0]}", text[1])


def doubts(facts: Facts, *, runs: bool) -> Iterator[Problem]:
    for spot in facts.unresolved:
        yield unresolved(spot.text, spot.script, spot.line, runs=runs)
    for script, line in facts.broken.items():
        yield Problem(
            "shell-syntax",
            Severity.INFO,
            "" if script.startswith("<") else script,
            f"line {line}: what starts here could not be read as shell",
            "what could be read of the script is followed",
        )


def unresolved(text: str, script: str, line: int, *, runs: bool) -> Problem:
    reads = text.startswith((". ", "source "))
    what = f"file `{text}` reads" if reads else f"program `{text}` runs"
    return Problem(
        "unresolved-command",
        Severity.WARNING if runs else Severity.INFO,
        "" if script.startswith("<") else script,
        f"line {line}: cannot tell which {what}",
        "nothing is kept for it; name what it runs with --also-run",
    )
