"""The part of ``imgslim rewrite`` that writes a tar beside the Dockerfile, where one is needed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from imgslim.cli import options
from imgslim.output import is_replaceable, open_output, write_output

if TYPE_CHECKING:
    from imgslim.bases import Overlay
    from imgslim.dockerfile.source import Head
    from imgslim.model import Keep
    from imgslim.pipeline import Analysis

_ENDING = ".tar"


def name_beside(output: str) -> str:
    """The name of the tar that can lie beside the Dockerfile ``output``; "" where none can: beside
    standard output, a pipe, a device."""
    return Path(output).name + _ENDING if is_replaceable(output) else ""


def write(
    dockerfile: str,
    output: str,
    analysis: Analysis,
    overlay: Overlay | None,
    source: Head | None,
    *,
    force: bool,
    quiet: bool,
) -> tuple[Path, ...]:
    """Write ``dockerfile`` to ``output`` and the tar that it needs, if any, beside it: the files of
    the build's context. One that continues the user's own ``source`` needs none. Raises
    OutputError, ReaderGone, ArchiveError."""
    from imgslim.pipeline import sidecar_of

    can_need = source is None and name_beside(output)
    keeps = sidecar_of(analysis, overlay) if can_need else ()
    if not keeps:
        write_output(dockerfile, output, force=force)
        return ()
    sidecar = Path(output + _ENDING)
    _write_both(dockerfile, output, sidecar, keeps, analysis, force=force)
    options.say(_note(output, sidecar), quiet=quiet)
    return (sidecar,)


def _write_both(
    dockerfile: str,
    output: str,
    sidecar: Path,
    keeps: tuple[Keep, ...],
    analysis: Analysis,
    *,
    force: bool,
) -> None:
    """Both or none: both are whole before either is moved to its place."""
    from imgslim.archive.sidecar import sidecar_tar

    is_ours = False
    try:
        with open_output(output, force=force) as text:
            text.write(dockerfile.encode("utf-8", "surrogateescape"))
            was_free = not sidecar.exists()
            with open_output(str(sidecar), force=force) as tar:
                tar.writelines(sidecar_tar(keeps, analysis.world.rootfs))
            is_ours = was_free
    except BaseException:
        if is_ours:
            sidecar.unlink(missing_ok=True)
        raise


def _note(output: str, sidecar: Path) -> str:
    words = ["docker", "build", "-f", output, str(Path(output).parent)]
    command = " ".join(map(shlex.quote, words))
    return f"{sidecar} belongs to {output}; build it with: {command}\n"
