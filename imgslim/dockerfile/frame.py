"""What stands around the copies: the names of stages, where the fat image comes from, the last
FROM."""

from __future__ import annotations

from dataclasses import dataclass, replace

from imgslim import __version__
from imgslim.copyplan.steps import CopyPlan
from imgslim.dockerfile.layout import comment, size
from imgslim.dockerfile.source import Head
from imgslim.model import Image, Plan
from imgslim.provenance_labels import known_name
from imgslim.sources.platforms import host_platform
from imgslim.sources.reference import stated_tag

_SCRATCH = "FROM scratch"


@dataclass(frozen=True, slots=True)
class Frame:
    """``head`` is all that stands before the gathered stage, as blocks; ``base``, ``gathered`` and
    ``moved`` are the stages' names, ``last`` is the final stage's FROM, ``sidecar`` the name of the
    tar that can lie beside the file ("": none can). ``behind`` stands between the gathered and the
    final stage, ``result`` is the stage in it that has what is gathered, and more ("": none)."""

    head: tuple[str, ...]
    base: str = "base"
    gathered: str = "gathered"
    moved: str = "moved"
    last: str = _SCRATCH
    sidecar: str = ""
    behind: tuple[str, ...] = ()
    result: str = ""


def base_reference(image: Image) -> str:
    """The name that FROM can use: the user's own, else a tag, a repo digest, or one to be given.

    A local image has no digest to name it by, and an id is none of BuildKit's names (trap 22).
    """
    return known_name(image) or stated_tag(image.image_id)


def frame_of_image(image: Image, copies: CopyPlan, plan: Plan, sidecar: str = "") -> Frame:
    """The fat image itself is the base stage."""
    head = (_header(plan, base_reference(image)), _base_stage(image, copies))
    return Frame(head, last=f"FROM {_platform_flag(image)}scratch", sidecar=sidecar)


def _platform_flag(image: Image) -> str:
    """What a FROM has to say of an image for other machines than this one: builders look for one
    of their own platform, and make one of that."""
    own, here = image.platform, host_platform()
    return (
        "" if (own.os, own.architecture) == (here.os, here.architecture) else f"--platform={own} "
    )


def frame_of_source(head: Head, copies: CopyPlan, plan: Plan) -> Frame:
    """A stage of the user's own Dockerfile is the base; its triggers must not fire in ours."""
    base = head.stage
    blocks = [_header(plan, f"the stage {base} above")]
    blocks[0] += "\n" + "\n".join(map(comment, _LASTING))
    if copies.clean_base:
        base = head.free_name("untriggered")
        lines = [comment("copied, not built upon: its triggers and its layers stay there")]
        lines += [f"FROM scratch AS {base}", f"COPY --from={head.stage} / /"]
        blocks.append("\n".join(lines))
    flag = f"--platform={head.platform} " if head.platform else ""
    gathered, moved = head.free_name("gathered"), head.free_name("moved")
    return Frame(tuple(blocks), base, gathered, moved, last=f"FROM {flag}scratch")


def upon(frame: Frame, base: Image, held: str) -> Frame:
    """``frame`` with ``base`` in place of scratch; ``held`` says what is there already."""
    lines = [comment(held)]
    if base.load_command:
        lines.append(comment(f"to load it: {base.load_command}"))
    start = frame.last.removesuffix("scratch")
    return replace(frame, last="\n".join([*lines, f"{start}{base_reference(base)}"]))


_LASTING = (
    "Build it as the Dockerfile above, in the same context, and again when that changes. What has",
    "a version in its name is copied by a pattern; for a new command or another entrypoint run",
    "imgslim again.",
)


def _header(plan: Plan, what: str) -> str:
    lines = [
        f"Written by imgslim {__version__}: what {what} needs at run time, and nothing else.",
        f"{size(plan.fat_size_bytes)} of files in that image, {size(plan.slim_size_bytes)} here.",
    ]
    return "\n".join(map(comment, lines))


def _base_stage(image: Image, copies: CopyPlan) -> str:
    name = base_reference(image)
    lines = [comment(f"image id {image.image_id}")]
    if image.load_command:
        lines.append(comment(f"to load it: {image.load_command}"))
    elif not (image.tags or image.repo_digests):
        lines.append(comment(f"to name it: docker tag {image.image_id} {name}"))
    flag = _platform_flag(image)
    if flag and not copies.gathered.is_empty:
        lines.append(
            comment(f"to build it elsewhere than on {image.platform}, RUN needs an emulator")
        )
    if copies.clean_base:
        lines.append(comment("copied, not built upon: its triggers and its layers stay there"))
        lines += [f"FROM {flag}scratch AS base", f"COPY --from={name} / /"]
    else:
        lines.append(f"FROM {flag}{name} AS base")
    return "\n".join(lines)
