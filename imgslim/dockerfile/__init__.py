"""Write the Dockerfile: an image, its merged tree and its plan in, text out.

The same input gives the same text. It builds with BuildKit, Docker's legacy builder, buildah and
podman: no syntax beyond what Docker 20.10 reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from imgslim.bases import Overlay
from imgslim.bases.undone import resets
from imgslim.copyplan import plan_copies
from imgslim.copyplan.steps import CopyPlan, PlainCopy
from imgslim.copyplan.words import copy_destination, copy_source, is_simple, json_word
from imgslim.dockerfile.config import config_problems, render_config
from imgslim.dockerfile.continued import continued
from imgslim.dockerfile.frame import Frame, base_reference, frame_of_image, frame_of_source
from imgslim.dockerfile.gather import gather_stage
from imgslim.dockerfile.layout import comment, count, describe_contents, wrapped
from imgslim.dockerfile.source import Head
from imgslim.model import Group, Image, Plan, Problem
from imgslim.provenance_labels import labelled
from imgslim.rootfs import Rootfs

__all__ = (
    "base_reference",
    "dockerfile_problems",
    "render_copies",
    "render_dockerfile",
    "render_on_base",
)


def render_dockerfile(image: Image, rootfs: Rootfs, plan: Plan, source: Head | None = None) -> str:
    """The Dockerfile that builds the image of ``plan``: from the fat image, or from a stage of the
    user's own Dockerfile, ``source``, which it continues. Raises what ``plan_copies`` raises, and
    DockerfileError for a source that cannot be continued."""
    copies = plan_copies(image, rootfs, plan, lasting=source is not None)
    if source is None:
        return render_copies(labelled(image), copies, frame_of_image(image, copies, plan))
    frame = frame_of_source(source, copies, plan)
    return continued(source, render_copies(image, copies, frame))


def render_on_base(image: Image, rootfs: Rootfs, overlay: Overlay) -> str:
    """The Dockerfile that builds the image of a plan upon another image: what that lacks of it is
    copied, what the config of that image sets is set back. Raises what ``plan_copies`` raises."""
    plan, base = overlay.plan, overlay.base.image
    copies = plan_copies(image, rootfs, plan, replaced=overlay.replaced)
    frame = frame_of_image(image, copies, plan)
    held = comment(f"It holds {count(len(overlay.held), 'path')} of what is needed already.")
    frame = replace(frame, last=f"{held}\nFROM {base_reference(base)}")
    return render_copies(labelled(image), copies, frame, resets(image.config, base.config))


def dockerfile_problems(image: Image, rootfs: Rootfs, plan: Plan) -> tuple[Problem, ...]:
    """What the Dockerfile cannot say or bring, of the config and of the files."""
    return (*plan_copies(image, rootfs, plan).problems, *config_problems(image.config))


def render_copies(image: Image, copies: CopyPlan, frame: Frame, first: Sequence[str] = ()) -> str:
    """The text of COPY steps that are decided already; ``first`` stands before the config."""
    blocks = [
        *frame.head,
        *gather_stage(image.config, copies, frame),
        _final_stage(copies, frame),
        "\n".join([*first, *render_config(image.config)]),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _final_stage(copies: CopyPlan, frame: Frame) -> str:
    blocks = [frame.last]
    for _, block in groupby(copies.plain, key=_heading_key):
        steps = list(block)
        headings = describe_contents(content for copy in steps for content in copy.contents)
        lines = [render_copy(frame.base, copy) for copy in steps]
        blocks.append("\n".join([*headings, *lines]))
    if not copies.gathered.is_empty:
        blocks.append(f"COPY --from={frame.gathered} {copies.place}/ /")
    return "\n\n".join(blocks)


def _heading_key(copy: PlainCopy) -> tuple[Group, str]:
    return copy.contents[0].group, copy.contents[0].reason


def render_copy(stage: str, copy: PlainCopy) -> str:
    """One COPY instruction, in JSON form where a path needs it, wrapped where it is long."""
    start, target = f"COPY --from={stage}", copy.destination
    named = [path for path in copy.sources if path not in copy.patterns]
    if all(map(is_simple, (*named, target))):
        sources = [copy.patterns.get(path, path) for path in copy.sources]
        return wrapped(start, [*dict.fromkeys(sources), target])
    sources = [copy.patterns.get(path, copy_source(path)) for path in copy.sources]
    words = [f"{json_word(source)}," for source in dict.fromkeys(sources)]
    return wrapped(f"{start} [", [*words, f"{json_word(copy_destination(target))}]"])
