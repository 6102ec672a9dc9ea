"""Write the Dockerfile: an image, its merged tree and its plan in, text out.

The same input gives the same text. It builds with BuildKit, Docker's legacy builder, buildah and
podman: no syntax beyond what Docker 20.10 reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from imgslim import __version__
from imgslim.copyplan import plan_copies
from imgslim.copyplan.steps import CopyPlan, PlainCopy
from imgslim.copyplan.words import copy_destination, copy_source, is_simple, json_word
from imgslim.dockerfile.config import config_problems, render_config
from imgslim.dockerfile.gather import gather_stage
from imgslim.dockerfile.layout import comment, describe_contents, size, wrapped
from imgslim.model import Group, Image, Plan, Problem
from imgslim.rootfs import Rootfs
from imgslim.sources.reference import stated_tag


def render_dockerfile(image: Image, rootfs: Rootfs, plan: Plan) -> str:
    """The Dockerfile that builds the image of ``plan``. Raises what ``plan_copies`` raises."""
    return render_copies(image, plan_copies(image, rootfs, plan), plan)


def dockerfile_problems(image: Image, rootfs: Rootfs, plan: Plan) -> tuple[Problem, ...]:
    """What the Dockerfile cannot say or bring, of the config and of the files."""
    return (*plan_copies(image, rootfs, plan).problems, *config_problems(image.config))


def render_copies(image: Image, copies: CopyPlan, plan: Plan) -> str:
    """The text of COPY steps that are decided already."""
    blocks = [
        _header(image, plan),
        _base_stage(image, copies),
        *gather_stage(image.config, copies),
        _final_stage(copies),
        "\n".join(render_config(image.config)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def base_reference(image: Image) -> str:
    """The name that FROM can use: the user's own, else a tag, a repo digest, or one to be given.

    A local image has no digest to name it by, and an id is none of BuildKit's names (trap 22).
    """
    names = (*image.tags, *image.repo_digests)
    if image.reference in names:
        return image.reference
    return names[0] if names else stated_tag(image.image_id)


def _header(image: Image, plan: Plan) -> str:
    lines = [
        f"Written by imgslim {__version__}: what {base_reference(image)} needs at run time, "
        "and nothing else.",
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
    if copies.clean_base:
        lines.append(comment("copied, not built upon: its triggers and its layers stay there"))
        lines += ["FROM scratch AS base", f"COPY --from={name} / /"]
    else:
        lines.append(f"FROM {name} AS base")
    return "\n".join(lines)


def _final_stage(copies: CopyPlan) -> str:
    blocks = ["FROM scratch"]
    for _, block in groupby(copies.plain, key=_heading_key):
        steps = list(block)
        headings = describe_contents(content for copy in steps for content in copy.contents)
        lines = [render_copy("base", copy) for copy in steps]
        blocks.append("\n".join([*headings, *lines]))
    if not copies.gathered.is_empty:
        blocks.append(f"COPY --from=gathered {copies.place}/ /")
    return "\n\n".join(blocks)


def _heading_key(copy: PlainCopy) -> tuple[Group, str]:
    return copy.contents[0].group, copy.contents[0].reason


def render_copy(stage: str, copy: PlainCopy) -> str:
    """One COPY instruction, in JSON form where a path needs it, wrapped where it is long."""
    return _copy(stage, copy.sources, copy.destination)


def _copy(stage: str, sources: Sequence[str], destination: str) -> str:
    start = f"COPY --from={stage}"
    if all(map(is_simple, (*sources, destination))):
        return wrapped(start, [*sources, destination])
    words = [json_word(copy_source(path)) for path in sources]
    target = json_word(copy_destination(destination))
    return wrapped(f"{start} [", [*(f"{word}," for word in words), f"{target}]"])
