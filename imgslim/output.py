"""Write a result to a file or to standard output: whole or not at all, and never over another."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from imgslim.errors import OutputError

STANDARD_OUTPUT = "-"


class ReaderGone(Exception):  # noqa: N818 - it names what happened, not a fault
    """Nobody reads standard output any more (``| head``): no error, but no reason to go on."""


def check_output(target: str, *, force: bool) -> None:
    """Raise OutputError when ``target`` cannot be written: to be asked before the long work.

    ``-`` is standard output. An existing file is refused without ``force``; what is no regular
    file (``/dev/null``, a FIFO) is written to as it is.
    """
    if target == STANDARD_OUTPUT:
        return
    path = Path(target)
    try:
        if path.is_dir():
            raise OutputError(f"{target} is a directory", hint="name a file in it")
        if not force and (path.is_file() or path.is_symlink()):
            raise _exists(target)
        if not path.exists() and not path.resolve().parent.is_dir():
            raise OutputError(
                f"cannot write {target}: there is no directory {path.parent}",
                hint=f"make it first: mkdir -p {path.parent}",
            )
    except OSError as error:
        raise _unwritable(target, error) from error


def write_output(text: str, target: str, *, force: bool) -> None:
    """Write ``text`` to ``target`` as UTF-8, undecodable bytes of the image as they were.

    The file is written beside its place and then moved there. Raises OutputError, ReaderGone.
    """
    write_chunks([text.encode("utf-8", "surrogateescape")], target, force=force)


def write_chunks(chunks: Iterable[bytes], target: str, *, force: bool) -> None:
    """The same for bytes that come in chunks, as large as they like together."""
    if target == STANDARD_OUTPUT:
        _write_standard_output(chunks)
        return
    check_output(target, force=force)
    if not is_replaceable(target):
        try:
            with Path(target).open("wb") as file:
                file.writelines(chunks)
        except OSError as error:
            raise _unwritable(target, error) from error
        return
    with open_output(target, force=force) as file:
        file.writelines(chunks)


def is_replaceable(target: str) -> bool:
    """Whether ``target`` is, or will be, a regular file: no pipe, no device."""
    path = Path(target)
    return target != STANDARD_OUTPUT and (path.is_file() or not path.exists())


@contextlib.contextmanager
def open_output(target: str, *, force: bool) -> Iterator[BinaryIO]:
    """A new file that one can seek in, beside ``target``, which it becomes when the block ends; an
    error in the block leaves nothing of it. For what ``is_replaceable``.

    Raises OutputError, also for every OSError in the block.
    """
    check_output(target, force=force)
    # A link stays a link: its target is what gets the new content.
    path = Path(target).resolve()
    try:
        with _beside(path, target, force=force) as file:
            yield file
    except OSError as error:
        raise _unwritable(target, error) from error


def _write_standard_output(chunks: Iterable[bytes]) -> None:
    try:
        sys.stdout.flush()
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        # What is left in the buffer would fail again in Python's own flush at exit.
        with contextlib.suppress(OSError, ValueError):
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, sys.stdout.fileno())
            os.close(sink)
        raise ReaderGone from error
    except OSError as error:
        raise _unwritable("standard output", error) from error


@contextlib.contextmanager
def _beside(path: Path, target: str, *, force: bool) -> Iterator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.chmod(path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask())
        if force:
            part.replace(path)
        else:
            _move_to_free(part, path, target)
    finally:
        part.unlink(missing_ok=True)


def _move_to_free(part: Path, path: Path, target: str) -> None:
    """Move to a name that nobody took in the meantime: link(2) fails where rename(2) overwrites."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        part.replace(path)  # a file system without hard links


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _exists(target: str) -> OutputError:
    return OutputError(
        f"{target} exists already", hint="name another file, or add --force to overwrite it"
    )


def _unwritable(target: str, error: OSError) -> OutputError:
    hint = "free some space, or name a file elsewhere" if error.errno == errno.ENOSPC else ""
    return OutputError(
        f"cannot write {target}: {error.strerror or error}",
        hint=hint or "name a file in a directory that you may write to",
    )
