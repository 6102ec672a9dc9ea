"""What a COPY brought of the build context that the image does not need: lines for .dockerignore.

A line ``**/NAME`` leaves out NAME in any directory of the context, also at its top (Dockerfile
reference, ".dockerignore file").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from imgslim.audit.advice.model import Draft, Facts, Share, Stored, share_of, top_of_origin
from imgslim.audit.advice.steps import Step
from imgslim.audit.model import AdviceKind, How, Verdict, WastedFile
from imgslim.model import OriginKind
from imgslim.tables import load_table

_UNITS = ("vcs", "caches")
_CLAIMED = (OriginKind.VCS, OriginKind.CACHE)

File = Stored | WastedFile


def advise(facts: Facts) -> Iterator[Draft]:
    """One piece for all COPY instructions: a context has one .dockerignore."""
    copies = {step.layer_index: step for step in facts.steps if _has_context(step)}
    if not copies:
        return
    named = [row["name"] for row in load_table("advice")["ignore"]]
    stored: tuple[File, ...] = (*facts.files, *facts.wasted)
    brought = [file for file in stored if file.layer_index in copies]
    lines_of = [(file, _lines(facts, copies[file.layer_index], file, named)) for file in brought]
    restored = _restored(facts)
    bad = {line for file, lines in lines_of if not _may_go(file, restored) for line in lines}
    shares: dict[str, list[Share]] = {}
    for file, lines in lines_of:
        line = next((line for line in lines if line not in bad), "")
        if line:
            shares.setdefault(line, []).append(share_of(file))
    ranked = sorted(
        (line for line, own in shares.items() if sum(s.size_bytes for s in own)),
        key=lambda line: (-sum(share.size_bytes for share in shares[line]), line),
    )
    if ranked:
        layers = sorted({share.layer_index for line in ranked for share in shares[line]})
        yield _draft(copies, ranked, layers, [s for line in ranked for s in shares[line]])


def _draft(
    copies: Mapping[int, Step], lines: list[str], layers: list[int], shares: list[Share]
) -> Draft:
    first = copies[layers[0]]
    names = [line.removeprefix("**/") for line in lines]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    where = first.name if len(layers) == 1 else f"COPY in layers {', '.join(map(str, layers))}"
    return Draft(
        AdviceKind.DOCKERIGNORE,
        f"{where} brought {shown}",
        "\n".join(("in .dockerignore:", *lines)),
        tuple(shares),
        layer_index=layers[0] if len(layers) == 1 else None,
        instruction=first.text if len(layers) == 1 else "",
        paths=tuple(lines),
    )


def _has_context(step: Step) -> bool:
    """Whether a step copies from the context, as far as its history tells: BuildKit keeps the paths
    but not ``--from``, which is of a stage where the path is absolute."""
    from_stage = any(source.startswith("/") for source in step.sources)
    return step.is_copy and bool(step.target) and not step.unpacks and not from_stage


def _lines(facts: Facts, step: Step, file: File, named: Iterable[str]) -> tuple[str, ...]:
    """All lines of which each leaves ``file`` out."""
    prefix = step.target.rstrip("/") + "/"
    if not file.path.startswith(prefix):
        return ()
    relative = file.path.removeprefix(prefix)
    parts = relative.split("/")
    found = [f"**/{name}" for name in named if name in parts[:-1]]
    if file.kind in _UNITS:
        top = _top(facts, file, prefix) if isinstance(file, Stored) else _hidden_top(parts)
        last = top.rpartition("/")[2]
        if top:
            found.append(f"**/{last}" if last.startswith(".") else f"**/{top}")
    return tuple(found)


def _top(facts: Facts, file: Stored, prefix: str) -> str:
    """The outermost directory around a file that is of the same cache or repository, relative."""
    if facts.origin_of(file.path).kind not in _CLAIMED:
        return ""
    return top_of_origin(facts, file.path, prefix).removeprefix(prefix)


def _hidden_top(parts: list[str]) -> str:
    """That of a hidden file: the directory of version control that is in its path."""
    names = {row["directory"] for row in load_table("caches")["version_control"]}
    found = next((index for index, part in enumerate(parts) if part in names), None)
    return "/".join(parts[: found + 1]) if found is not None else ""


def _restored(facts: Facts) -> frozenset[tuple[int, str]]:
    """The (layer, path) of copied files that an instruction before had made with the same content:
    without the copy, these are there."""
    same = (How.CHANGED, How.REPEATED)
    return frozenset(
        (file.by_layer, file.path)
        for file in facts.wasted
        if file.how in same and file.by_layer is not None
    )


def _may_go(file: File, restored: frozenset[tuple[int, str]]) -> bool:
    if isinstance(file, WastedFile):
        return True
    if (file.layer_index, file.path) in restored:
        return True
    return file.verdict is Verdict.REMOVABLE or (
        file.verdict is Verdict.UNDECIDED and file.kind in _UNITS
    )
