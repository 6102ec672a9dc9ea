"""What no Dockerfile can say or no builder does: the closed list of mismatches that are no fault.

Each row was measured on Docker's legacy builder, buildah and BuildKit (docs/copies.md, "Known
differences"). What depends on the image is said before the build: by ``dockerfile_problems``, and
by ``foreseen`` here.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from imgslim.bases.undone import set_back
from imgslim.copyplan.words import is_text
from imgslim.dirt.texts import COVER
from imgslim.dockerfile.config import told_unsayable, unsayable_values
from imgslim.model import Entry, Image, ImageConfig, Keep, Problem, Severity
from imgslim.provenance_labels import BASE_DIGEST, BASE_NAME
from imgslim.verify.config import compare_configs
from imgslim.verify.differences import NOTHING, Allowance, Aspect, Mismatch
from imgslim.verify.expected import Expected
from imgslim.world import DEFAULT_PATH

ENGINE_PATHS = frozenset(
    {
        "/.dockerenv",
        "/dev",
        "/dev/console",
        "/dev/pts",
        "/dev/shm",
        "/etc",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/mtab",
        "/etc/resolv.conf",
        "/proc",
        "/run",
        "/run/.containerenv",
        "/sys",
    }
)
"""Mount points that an engine makes in a container, and leaves in an image that is made of one:
moby's daemon/initlayer/setup_unix.go, podman's libpod/container_internal_linux.go; with the
directories that hold them."""

BASE_LABELS = frozenset({BASE_NAME, BASE_DIGEST})
"""Where an image comes from, added by whoever builds it (OCI image spec, annotations.md)."""

BUILDER_LABELS = frozenset({"io.buildah.version"})
"""What a builder signs with (buildah's define.BuilderIdentityAnnotation)."""

BUILDKIT_MARK = "# buildkit"
"""What BuildKit writes behind an instruction in an image's history (its dockerfile2llb,
``commitToHistory``)."""


_LAST_TIME = (2**63 - 1) // 10**9
"""The last second that an engine stores, in 2262: it counts nanoseconds in 64 bits."""


@dataclass(frozen=True, slots=True)
class Context:
    """What decides whether a mismatch is allowed. ``made`` are the directories that WORKDIR makes,
    with the ones that these are in."""

    expected: Expected
    unsayable_fields: frozenset[str]
    unsayable_paths: frozenset[str]
    uncut_paths: frozenset[str]
    by_buildkit: bool
    untimed: bool
    made: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, expected: Expected, found: Image) -> Context:
        problems = expected.unsayable
        made = set(made_directories(expected.config, expected.paths))
        return cls(
            expected,
            frozenset((*unsayable_values(expected.config), *_covered_unsayable(expected))),
            frozenset(one.path for one in problems if one.code == "uncopyable-path"),
            _with_own_directories(
                (one.path for one in problems if one.code == "uncut-database"), expected.paths
            ),
            any(row.created_by.endswith(BUILDKIT_MARK) for row in found.history),
            any(one.code == "directory-times" for one in problems),
            frozenset(made | {posixpath.dirname(path) for path in made}),
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the list: its stable ``code``, in words, and to which mismatches it applies."""

    code: str
    message: str
    applies: Callable[[Mismatch, Context], bool]


def allowance_of(mismatch: Mismatch, context: Context) -> Allowance | None:
    """The row of the closed list that allows ``mismatch``, or None: it is a fault."""
    for rule in RULES:
        if rule.applies(mismatch, context):
            return Allowance(rule.code, mismatch.path, mismatch.aspect, rule.message)
    return None


def _covered_unsayable(expected: Expected) -> tuple[str, ...]:
    """Of values that are covered in a plan from a file the plan's notes tell."""
    config = expected.config
    pairs = (("variable", config.env), ("label", config.labels))
    fields = (f"{what} {name}" for what, rows in pairs for name, value in rows if COVER in value)
    return told_unsayable(expected.unsayable, fields)


def foreseen(image: Image, keeps: Sequence[Keep]) -> Iterator[Problem]:
    """What a builder will not do of the plan, to be said before the build; as notes."""
    yield _note(
        "builder-times",
        "",
        "builders set the time of /, and BuildKit that of directories that a COPY line writes into",
    )
    cut = [keep.entry for keep in keeps if keep.entry.mtime % 1 and keep.entry.path != "/"]
    if cut:
        yield _note(
            "sub-second-times",
            cut[0].path,
            f"{len(cut):,} times have a part below the second, which builders cut or round",
        )
    unstored = [keep.entry for keep in keeps if _is_unstored(keep.entry) and keep.entry.path != "/"]
    if unstored:
        yield _note(
            "unstored-times",
            unstored[0].path,
            f"{len(unstored):,} times before 1970 or after 2262, which builders make 1970; an "
            "archive (rewrite --output slim.tar) keeps them",
        )
    for path in made_directories(image.config, {keep.entry.path for keep in keeps}):
        yield _note("working-directory", path, "is not in the image; WORKDIR makes it")
    if image.config.env_value("PATH") is None:
        yield _note("builder-path", "", "the image sets no PATH; BuildKit adds one")


def _note(code: str, path: str, message: str) -> Problem:
    return Problem(code, Severity.INFO, path, message)


def made_directories(config: ImageConfig, paths: Container[str]) -> list[str]:
    """The working directory and its parents where ``paths`` lacks them, topmost first."""
    missing: list[str] = []
    path = posixpath.normpath(f"/{config.working_dir.lstrip('/')}")
    while path != "/" and path not in paths:
        missing.insert(0, path)
        path = posixpath.dirname(path)
    return missing


def _with_own_directories(paths: Iterable[str], planned: Iterable[str]) -> frozenset[str]:
    """``paths`` with the directories that are planned for these alone."""
    gone = set(paths)
    others = [path for path in planned if gone and path not in gone]
    for path in sorted(gone):
        while (path := posixpath.dirname(path)) != "/":
            if any(other.startswith(f"{path}/") and other not in gone for other in others):
                break
            gone.add(path)
    return frozenset(gone)


def _is_root_of_a_build(mismatch: Mismatch, _: Context) -> bool:
    given = mismatch.given
    if mismatch.path != "/" or given is None:
        return False
    as_built = {Aspect.MODE: given.mode == 0o755, Aspect.OWNER: (given.uid, given.gid) == (0, 0)}
    return mismatch.aspect == Aspect.MTIME or as_built.get(Aspect(mismatch.aspect), False)


def _is_unstored(entry: Entry) -> bool:
    return not 0 <= entry.mtime < _LAST_TIME + 1


def _is_unstored_time(mismatch: Mismatch, _: Context) -> bool:
    """Whoever unpacks a layer writes 1970 in the place of such a time (moby and containers/storage,
    pkg/system/chtimes.go; containerd, archive/time.go); links may keep theirs."""
    wanted, given = mismatch.wanted, mismatch.given
    if mismatch.aspect != Aspect.MTIME or wanted is None or given is None:
        return False
    return _is_unstored(wanted) and given.mtime == 0


def _is_directory_time(mismatch: Mismatch) -> bool:
    wanted = mismatch.wanted
    return mismatch.aspect == Aspect.MTIME and wanted is not None and wanted.is_directory


def _is_missing(mismatch: Mismatch, paths: Container[str]) -> bool:
    is_missing = mismatch.aspect == Aspect.PRESENCE and mismatch.given is None
    return is_missing and mismatch.path in paths


def _is_mount_point(mismatch: Mismatch, _: Context) -> bool:
    """Nothing but the empty place is allowed there."""
    given = mismatch.given
    if mismatch.wanted is not None or given is None or mismatch.path not in ENGINE_PATHS:
        return False
    return given.is_directory or given.is_symlink or given.size_bytes == 0


def _is_made_by_workdir(mismatch: Mismatch, context: Context) -> bool:
    given = mismatch.given
    if mismatch.path not in context.made or given is None or not given.is_directory:
        return False
    return mismatch.wanted is None or mismatch.aspect == Aspect.MTIME


def _is_unsayable_value(mismatch: Mismatch, context: Context) -> bool:
    if mismatch.path or mismatch.found != NOTHING:
        return False
    what, _, _ = mismatch.aspect.rpartition(" ")
    plural = {"exposed port": "exposed ports", "volume": "volumes"}.get(what, mismatch.aspect)
    return plural in context.unsayable_fields


def _is_unsayable_trigger(mismatch: Mismatch, context: Context) -> bool:
    """Of the ONBUILD triggers, those that can be said are there, in their order."""
    if mismatch.path or mismatch.aspect != "ONBUILD":
        return False
    lost = sum(field.startswith("ONBUILD ") for field in context.unsayable_fields)
    wanted = context.expected.config.on_build
    given = iter(() if mismatch.found == NOTHING else json.loads(mismatch.found))
    said = [one for one in wanted if is_text(one) and not {"\n", "\r"} & set(one)]
    return bool(lost) and list(given) == said


def _is_added_label(mismatch: Mismatch, names: Container[str]) -> bool:
    name = mismatch.aspect.removeprefix("label ")
    return not mismatch.path and mismatch.expected == NOTHING and name in names


def _is_added_path(mismatch: Mismatch, _: Context) -> bool:
    row = ("", "variable PATH", NOTHING, DEFAULT_PATH)
    return (mismatch.path, mismatch.aspect, mismatch.expected, mismatch.found) == row


def _is_inherited(mismatch: Mismatch, context: Context) -> bool:
    """No instruction takes back a label, variable, port or volume of the base."""
    if mismatch.path or mismatch.expected != NOTHING or context.expected.base is None:
        return False
    of_base = compare_configs(ImageConfig(), context.expected.base)
    return any((row.field, row.found) == (mismatch.aspect, mismatch.found) for row in of_base)


def _is_set_back(mismatch: Mismatch, context: Context) -> bool:
    """What the base sets and the image leaves unset is set to what an engine does by itself."""
    config, base = context.expected.config, context.expected.base
    if mismatch.path or base is None:
        return False
    rows = compare_configs(config, set_back(config, base))
    return any((row.field, row.found) == (mismatch.aspect, mismatch.found) for row in rows)


RULES = (
    Rule("root-directory", "a build makes / root's, 0755 and anew", _is_root_of_a_build),
    Rule(
        "directory-times",
        "without a shell in the image, directories get the time of the build",
        lambda mismatch, context: _is_directory_time(mismatch) and context.untimed,
    ),
    Rule(
        "builder-times",
        "BuildKit gives a directory that a COPY line writes into the time of the build",
        lambda mismatch, context: _is_directory_time(mismatch) and context.by_buildkit,
    ),
    Rule(
        "unstored-times",
        "builders make a time before 1970 or after 2262 that of 1970",
        _is_unstored_time,
    ),
    Rule(
        "uncopyable-path",
        "no instruction of a Dockerfile can copy this",
        lambda mismatch, context: _is_missing(mismatch, context.unsayable_paths),
    ),
    Rule(
        "uncut-database",
        "no build can cut this package database",
        lambda mismatch, context: _is_missing(mismatch, context.uncut_paths),
    ),
    Rule("engine-path", "an engine's empty mount point", _is_mount_point),
    Rule("working-directory", "WORKDIR made what the image lacked", _is_made_by_workdir),
    Rule("unwritable-config", "a Dockerfile cannot say this value", _is_unsayable_value),
    Rule("unwritable-config", "a Dockerfile cannot say this trigger", _is_unsayable_trigger),
    Rule(
        "base-label",
        "says from which image this one was made",
        lambda mismatch, _: _is_added_label(mismatch, BASE_LABELS),
    ),
    Rule(
        "builder-label",
        "the builder's own label",
        lambda mismatch, _: _is_added_label(mismatch, BUILDER_LABELS),
    ),
    Rule("builder-path", "BuildKit adds PATH where there is none", _is_added_path),
    Rule("base-config", "inherited from the base, and no instruction removes it", _is_inherited),
    Rule("base-config", "set back to what an engine does by itself", _is_set_back),
)
"""The closed list."""
