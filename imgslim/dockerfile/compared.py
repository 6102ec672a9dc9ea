"""The stage that looks, in each build, whether a base still holds what is not copied.

Behind the user's own Dockerfile both sides move: the next build has other versions, and the base's
name may mean another image. What the base no longer has as this build has it is copied then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from imgslim.bases import Overlay
from imgslim.copyplan.patterns import patterns_of
from imgslim.copyplan.steps import CopyPlan
from imgslim.copyplan.tools import TOOL_DIRECTORIES, Tools
from imgslim.copyplan.words import is_shell_word
from imgslim.dockerfile import lasting
from imgslim.dockerfile.frame import Frame, base_reference
from imgslim.dockerfile.layout import comment, wrapped
from imgslim.dockerfile.runs import INDENT, run_instruction, shell_function, stage_head, word_parts
from imgslim.errors import UnsupportedImageError
from imgslim.model import ImageConfig
from imgslim.rootfs import Rootfs

_TOOLS = ("readlink", "sha256sum", "stat")
"""Of coreutils and of busybox alike."""

_UNSEEN = ("/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""What a RUN sees is the builder's (runtime-spec, config-linux.md, "Default Filesystems")."""

_SAME = """same() {
  there={base}/$1
  if [ -L "$1" ]
  then [ -L "$there" ] && [ "$(readlink "$1")" = "$(readlink "$there")" ]
  elif [ -L "$there" ] || [ ! -e "$there" ]
  then return 1
  elif [ "$(stat -c '%f %u %g' "$1")" != "$(stat -c '%f %u %g' "$there")" ]
  then return 1
  elif [ -f "$1" ]
  then [ "$(sha256sum < "$1")" = "$(sha256sum < "$there")" ]
  fi
}"""
"""Kind, mode, owner, link target, content."""

_CHANGED = """changed() {
  for path
  do shift
    if same "$path"; then continue; fi
    echo "no more in the base as it is here: $path"
    set -- "$@" "$path"
  done
  [ $# -gt 0 ] || return 0
  gather "$@"
  for path
  do path=${path%/*}
    while [ "$path" != . ]
    do above "$path"
      path=${path%/*}
    done
  done
}"""
"""Gathers those of its words that differ, and then the directories above them as they are."""


def with_comparison(
    frame: Frame,
    name: str,
    config: ImageConfig,
    copies: CopyPlan,
    rootfs: Rootfs,
    overlay: Overlay,
) -> Frame:
    """``frame`` with a stage ``name`` that compares what ``overlay`` finds held, and adds what
    differs to what is gathered. ``rootfs`` is the fat image's tree.

    Raises UnsupportedImageError where the image has no shell and tools to compare with.
    """
    paths = sorted(_comparable(config, rootfs, overlay))
    if not paths:
        return frame
    tools = _checked_tools(copies.tools, rootfs)
    place, theirs = copies.place, _free_place(copies.place, rootfs)
    gathered = f"COPY --from={frame.gathered} {place}/ {place}/"
    lines = [
        comment("What the base holds is not copied, as long as it is in both as it is today"),
        *stage_head(frame.base, name, tools, config, clean_base=copies.clean_base),
        *([] if copies.gathered.is_empty else [gathered]),
        f"COPY --from={base_reference(overlay.base.image)} / {theirs}/",
    ]
    blocks = ["\n".join(lines), *_runs(paths, rootfs, tools, place, theirs)]
    return replace(frame, behind=("\n\n".join(blocks),), result=name)


def _free_place(place: str, rootfs: Rootfs) -> str:
    name = f"{place}-base"
    while name in rootfs.entries:
        name += "-"
    return name


def _comparable(config: ImageConfig, rootfs: Rootfs, overlay: Overlay) -> Iterator[str]:
    """What is held and can be compared: of a package database that is cut the stage has the whole,
    what a volume hides no RUN can see."""
    hidden = (*_UNSEEN, *(path.rstrip("/") for path in config.volumes))
    stated = {keep.entry.path for keep in overlay.plan.keeps}
    for path, entry in overlay.held.items():
        is_hidden = any(path == top or path.startswith(f"{top}/") for top in hidden)
        ours = rootfs.get(path)
        if path in stated or ours is None or is_hidden or not is_shell_word(path):
            continue
        if not entry.is_file or ours.size_bytes == entry.size_bytes:
            yield path


def _checked_tools(tools: Tools | None, rootfs: Rootfs) -> Tools:
    missing = [name for name in _TOOLS if not _has(rootfs, name)]
    if tools is None or missing:
        raise UnsupportedImageError(
            f"the image has no {' and '.join(missing or ['shell and tar or cp'])}, with which each "
            "build compares what the base holds",
            hint="leave out --source or --base, or write the image itself (-o slim.tar)",
        )
    return tools


def _has(rootfs: Rootfs, name: str) -> bool:
    found = (rootfs.lookup(f"{directory}/{name}") for directory in TOOL_DIRECTORIES)
    return any(entry is not None and entry.is_executable for entry in found)


def _runs(paths: list[str], rootfs: Rootfs, tools: Tools, place: str, theirs: str) -> Iterator[str]:
    patterns = patterns_of(rootfs, paths)
    required, optional = lasting.split_optional(paths)
    functions = [
        tools.files,
        tools.directories.replace("gather()", "above()", 1),
        _SAME.replace("{base}", theirs),
    ]
    for act, extra, some in (
        ("changed", [lasting.GONE, lasting.CHECK, lasting.with_check(_CHANGED)], required),
        ("present changed", [lasting.PRESENT, _CHANGED], optional),
    ):
        steps = [shell_function(text, place) for text in (*functions, *extra)]
        for words in word_parts(lasting.words(some, patterns)):
            call = wrapped(act, words, indent=INDENT)
            yield run_instruction(["cd /", f"mkdir -p {place}", *steps, call])
