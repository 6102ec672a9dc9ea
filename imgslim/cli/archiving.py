"""The part of ``imgslim rewrite`` that writes the slim image itself instead of a Dockerfile."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from imgslim.cli import options
from imgslim.cli.progress import ProgressBar
from imgslim.errors import UsageError
from imgslim.output import STANDARD_OUTPUT, is_replaceable, open_output, write_chunks

if TYPE_CHECKING:
    from imgslim.archive import Written
    from imgslim.bases import Overlay
    from imgslim.pipeline import Analysis
    from imgslim.reports.console import Look

_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.zst")
_CHUNK_BYTES = 1 << 20

archive_options: Callable[[Any], Any] = options.combined(
    [
        click.option(
            "--archive",
            "as_archive",
            cls=options.RunOption,
            is_flag=True,
            help="Write the slim image itself, with no engine and no build: an archive that docker "
            "load, podman load and skopeo take. So does any --output FILE that ends in .tar, "
            ".tar.gz, .tgz or .tar.zst.",
        ),
        click.option(
            "--compress",
            cls=options.RunOption,
            type=click.Choice(["none", "gzip", "zstd"]),
            help="What the archive's layers are compressed with. Default: none. zstd is for Docker "
            "23, podman and later.",
        ),
    ]
)


@dataclass(frozen=True, slots=True)
class Order:
    """An archive as the user wants it: where, under which name, with which compression."""

    output: str
    force: bool
    name: str | None
    compress: str
    epoch: int | None


def archive_order(
    output: str, *, force: bool, as_archive: bool, compress: str | None, tag: str | None
) -> Order | None:
    """What the options say about an archive; None when a Dockerfile is wanted.

    Raises UsageError for what does not go together.
    """
    if not as_archive and not output.endswith(_ENDINGS):
        if compress:
            raise UsageError(
                "--compress is about the layers of an archive",
                hint="add --archive, or end the name of --output in .tar",
            )
        return None
    if output == STANDARD_OUTPUT and sys.stdout.isatty():
        raise UsageError(
            "standard output is a terminal, which an archive is not for",
            hint="write it to a file (-o slim.tar), or pipe it on: … | docker load",
        )
    from imgslim.archive import check_name
    from imgslim.archive.config import source_date_epoch

    name = None if tag is None else check_name(tag)
    return Order(output, force, name, compress or "none", source_date_epoch())


def save(analysis: Analysis, order: Order, overlay: Overlay | None, *, quiet: bool) -> Written:
    """Write the archive of ``order``, upon a base or none. Raises UsageError, OutputError,
    ArchiveError."""
    from imgslim.archive import Settings, slim_name, write_archive
    from imgslim.archive.blobs import compressed
    from imgslim.sources.compression import Compression

    name = order.name or slim_name(analysis.image)
    settings = Settings(name, Compression(order.compress), order.epoch)
    outer = Compression(_outer(order.output))
    is_direct = outer is Compression.NONE and is_replaceable(order.output)
    direct = open_output(order.output, force=order.force) if is_direct else nullcontext()
    with ProgressBar(quiet=quiet) as on_progress, direct as file:
        plan, base = (overlay.plan, overlay.base) if overlay else (analysis.plan, None)
        args = analysis.image, analysis.world, plan, settings, on_progress, base
        if file is not None:
            return write_archive(file, *args)
        # Headers are written last, so what cannot seek gets the archive when it is whole.
        with tempfile.TemporaryFile(prefix="imgslim-") as spool:
            written = write_archive(spool, *args)
            spool.seek(0)
            chunks = iter(lambda: spool.read(_CHUNK_BYTES), b"")
            write_chunks(compressed(chunks, outer), order.output, force=order.force)
    return written


def _outer(output: str) -> str:
    """What the whole archive is compressed with, by its name."""
    if output.endswith((".tar.gz", ".tgz")):
        return "gzip"
    return "zstd" if output.endswith(".tar.zst") else "none"


def note(written: Written, output: str, look: Look) -> str:
    """What is said of an archive: its image, its layers, and how it is loaded."""
    from imgslim.reports.archive_text import render_archived

    load = "" if output == STANDARD_OUTPUT else f"docker load -i {shlex.quote(output)}"
    return render_archived(written, load, look)
