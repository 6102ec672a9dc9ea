"""A container as a deployment file of the user's starts it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Probe:
    """A command that is executed in the running container: ``what`` it is in the file's words
    (``healthcheck``, ``livenessProbe``). With ``in_shell``, ``argv`` is one string for a shell."""

    what: str
    argv: tuple[str, ...]
    in_shell: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """One container of a Compose project or of a Kubernetes manifest.

    ``source`` names the file for people, ``title`` the service in it; ``names`` are those by which
    the user may choose it, ``images`` the references of the image that it runs. ``entrypoint`` and
    ``command`` stand in the place of the config's entrypoint and cmd, None where the file has none.
    ``mounts`` are the paths that something outside the image covers; ``unset`` the variables that
    the file takes from outside and that are not set. ``other_image`` is the reference by which it
    was taken for a container of the analysed image, where that has another tag. ``unknown`` names
    what sets variables of it and is in no file that was read.
    """

    source: str
    title: str
    names: tuple[str, ...]
    images: tuple[str, ...]
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    probes: tuple[Probe, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    working_dir: str = ""
    mounts: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    other_image: str = ""
    unknown: tuple[str, ...] = ()

    def label(self, what: str = "") -> str:
        """Who asks, as in ``Need.because``: ``<compose.yaml web>``."""
        return f"<{' '.join(part for part in (self.source, self.title, what) if part)}>"
