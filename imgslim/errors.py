"""Every error that ends a command, with its exit code and a hint.

    ImgslimError (1)
    ├── UsageError (2)            the command line is wrong (click's own code, too)
    ├── EngineError (3)           no engine, no permission on its socket, a failed build
    ├── ImageNotFoundError (4)    no such image, archive or platform
    ├── PathNotFoundError (4)     no such path in the image
    ├── ArchiveError (5)          not an archive, truncated, unknown compression, missing layer
    ├── PlanFileError (5)         not a plan that analyze wrote, or not a whole one
    ├── DigestMismatchError (6)   the bytes are not those that the manifest promises
    ├── UnsupportedImageError (7) a Windows image, a system that runs nothing, a platform's own word
    ├── EntrypointError (8)       the program that the image runs is not in it
    ├── OutputError (9)           an output file exists or cannot be written, no space left
    ├── BrokenPlanError (10)      --drop leaves out what the image needs
    ├── DockerfileError (11)      the Dockerfile of --source cannot be read or extended
    ├── BaseImageError (12)       the image of --base cannot run what would be laid over it
    ├── VerificationError (13)    the built image is not what the plan says
    └── Interrupted (130)         Ctrl-C, as shells have it

The messages are one line: what happened, on which path or image. ``hint`` says what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class ImgslimError(Exception):
    """The base of all errors that a user sees: ``str()`` is one line, ``hint`` another."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ImgslimError):
    """The command line asks for something that does not go together."""

    exit_code = 2


class EngineError(ImgslimError):
    """The container engine is missing, refuses, or failed."""

    exit_code = 3


class ImageNotFoundError(ImgslimError):
    """No such image, archive, reference in an archive, or platform in an index."""

    exit_code = 4


class PathNotFoundError(ImgslimError):
    """The image has no such path, nothing that matches, and no such package."""

    exit_code = 4


class ArchiveError(ImgslimError):
    """The bytes are not an image archive, or not a whole one."""

    exit_code = 5


class PlanFileError(ImgslimError):
    """The file is no plan as ``analyze --format json`` writes it, or of another version."""

    exit_code = 5


class DigestMismatchError(ImgslimError):
    """A blob's bytes do not hash to the digest by which it is named."""

    exit_code = 6


class UnsupportedImageError(ImgslimError):
    """The image is of a kind that cannot be slimmed."""

    exit_code = 7


class EntrypointError(ImgslimError):
    """A command to run does not resolve to a file in the image."""

    exit_code = 8


class OutputError(ImgslimError):
    """An output file cannot be written, or would be overwritten."""

    exit_code = 9


class BrokenPlanError(ImgslimError):
    """The user's ``--drop`` leaves out what something kept needs, and no ``--force`` was given."""

    exit_code = 10


class DockerfileError(ImgslimError):
    """The user's Dockerfile (``--source``) has no such stage, or is none that a builder takes."""

    exit_code = 11


class BaseImageError(ImgslimError):
    """What is kept cannot run on, or be laid over, the image that ``--base`` names."""

    exit_code = 12


class VerificationError(ImgslimError):
    """An image differs from its plan in more than what no Dockerfile can say."""

    exit_code = 13


class Interrupted(ImgslimError):  # noqa: N818 - it names what happened, not a fault
    """The user pressed Ctrl-C; everything temporary is gone."""

    exit_code = 130
