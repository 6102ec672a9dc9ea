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
from imgslim.copyplan.steps import CopyPlan, PlainCopy, Sidecar
from imgslim.copyplan.tools import find_tools
from imgslim.copyplan.words import (
    copy_destination,
    copy_source,
    is_copy_word,
    is_simple,
    json_word,
)
from imgslim.dockerfile.compared import with_comparison
from imgslim.dockerfile.config import config_problems, render_config
from imgslim.dockerfile.continued import continued
from imgslim.dockerfile.frame import (
    Frame,
    base_reference,
    frame_of_image,
    frame_of_source,
    upon,
)
from imgslim.dockerfile.gather import gather_stage, moved_stage
from imgslim.dockerfile.layout import comment, count, describe_contents, wrapped
from imgslim.dockerfile.source import Head
from imgslim.errors import UnsupportedImageError, UsageError
from imgslim.model import Group, Image, Keep, Plan, Problem
from imgslim.provenance_labels import labelled, provenance_labels, stage_labels
from imgslim.rootfs import Rootfs

__all__ = (
    "base_reference",
    "dockerfile_problems",
    "render_copies",
    "render_dockerfile",
    "render_on_base",
    "sidecar_keeps",
)


def render_dockerfile(
    image: Image, rootfs: Rootfs, plan: Plan, source: Head | None = None, *, sidecar: str = ""
) -> str:
    """The Dockerfile that builds the image of ``plan``: from the fat image, or from a stage of the
    user's own Dockerfile, ``source``, which it continues. ``sidecar`` is the name that the tar
    beside it would have ("": there can be none). Raises what ``plan_copies`` raises,
    UnsupportedImageError where a sidecar is needed, and DockerfileError for a source that cannot
    be continued."""
    copies = plan_copies(image, rootfs, plan, lasting=source is not None)
    if source is None:
        frame = frame_of_image(image, copies, plan, sidecar)
        return render_copies(labelled(image, provenance_labels(image)), copies, frame)
    frame = frame_of_source(source, copies, plan)
    named = labelled(image, stage_labels(image, source.base))
    return continued(source, render_copies(named, copies, frame))


def render_on_base(
    image: Image,
    rootfs: Rootfs,
    overlay: Overlay,
    source: Head | None = None,
    *,
    sidecar: str = "",
) -> str:
    """The Dockerfile that builds the image of a plan upon another image: what that lacks of it is
    copied, what the config of that image sets is set back. ``source``, ``sidecar`` and what is
    raised as for ``render_dockerfile``."""
    plan, base = overlay.plan, overlay.base.image
    copies = plan_copies(image, rootfs, plan, lasting=source is not None, replaced=overlay.replaced)
    frame = (
        frame_of_image(image, copies, plan, sidecar)
        if source is None
        else frame_of_source(source, copies, plan)
    )
    held = f"It holds {count(len(overlay.held), 'path')} of what is needed already."
    frame = upon(frame, base, held)
    if source is not None:
        name = source.free_name("compared")
        frame = with_comparison(frame, name, image.config, copies, rootfs, overlay)
    named = labelled(image, provenance_labels(image, base))
    text = render_copies(named, copies, frame, resets(image.config, base.config))
    return text if source is None else continued(source, text)


def sidecar_keeps(
    image: Image, rootfs: Rootfs, plan: Plan, replaced: frozenset[str] = frozenset()
) -> tuple[Keep, ...]:
    """What the tar beside the Dockerfile has to hold, sorted by path; nothing where none is needed.
    ``replaced`` as for ``plan_copies``."""
    if find_tools(rootfs) is not None:
        return ()
    return plan_copies(image, rootfs, plan, replaced=replaced).sidecar.keeps


def dockerfile_problems(
    image: Image,
    rootfs: Rootfs,
    plan: Plan,
    replaced: frozenset[str] = frozenset(),
    *,
    lasting: bool = False,
) -> tuple[Problem, ...]:
    """What the Dockerfile cannot say or bring, of the config and of the files. ``replaced`` and
    ``lasting`` as for ``plan_copies``."""
    copies = plan_copies(image, rootfs, plan, replaced=replaced, lasting=lasting)
    return (*copies.problems, *config_problems(image.config))


def render_copies(image: Image, copies: CopyPlan, frame: Frame, first: Sequence[str] = ()) -> str:
    """The text of COPY steps that are decided already; ``first`` stands before the config."""
    head = [*frame.head, *moved_stage(image.config, copies, frame)]
    if copies.moves:
        frame = replace(frame, base=frame.moved)
    blocks = [
        *head,
        *gather_stage(image.config, copies, frame),
        *frame.behind,
        _final_stage(copies, frame),
        "\n".join([*first, *render_config(image.config)]),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _final_stage(copies: CopyPlan, frame: Frame) -> str:
    _check_sidecar(copies, frame)
    blocks = [frame.last]
    for _, block in groupby(copies.plain, key=_heading_key):
        steps = list(block)
        headings = describe_contents(content for copy in steps for content in copy.contents)
        lines = [render_copy(frame.base, copy) for copy in steps]
        blocks.append("\n".join([*headings, *lines]))
    if frame.result or not copies.gathered.is_empty:
        blocks.append(f"COPY --from={frame.result or frame.gathered} {copies.place}/ /")
    if copies.sidecar.keeps:
        blocks.append(_added(copies.sidecar, frame.sidecar))
    return "\n\n".join(blocks)


def _added(sidecar: Sidecar, name: str) -> str:
    """The line that unpacks the sidecar; builders do that with every tar of the context."""
    lines = [
        comment("What a COPY line would change: links, and the directories' owner, mode and time,"),
        comment("in a tar that lies beside this file: build it with this folder as context"),
        *describe_contents(sidecar.contents),
    ]
    if is_simple(name) and not name.startswith("-"):
        return "\n".join([*lines, f"ADD {name} /"])
    return "\n".join([*lines, f"ADD [{json_word(copy_source(name))}, {json_word('/')}]"])


def _check_sidecar(copies: CopyPlan, frame: Frame) -> None:
    keeps = copies.sidecar.keeps
    if not keeps or (frame.sidecar and is_copy_word(frame.sidecar)):
        return
    if frame.sidecar:
        raise UsageError(
            f"no Dockerfile can name a file {frame.sidecar!r}, which has to lie beside it",
            hint="give --output a plainer name, such as Dockerfile.slim",
        )
    needed = [keep.entry for keep in keeps if not _is_default_directory(keep)]
    more = f", nor {len(needed) - 1:,} more" if len(needed) > 1 else ""
    first = (needed or [keeps[0].entry])[0]
    raise UnsupportedImageError(
        f"the image has no shell and tar or cp, and a Dockerfile alone cannot copy {first.path} as "
        f"it is ({first.kind}, {first.mode:04o} {first.uid}:{first.gid}){more}",
        hint="write it to a file: a tar with them comes beside it (-o Dockerfile.slim); or write "
        "the image itself (-o slim.tar)",
    )


def _is_default_directory(keep: Keep) -> bool:
    entry = keep.entry
    return entry.is_directory and (entry.mode, entry.uid, entry.gid) == (0o755, 0, 0)


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
