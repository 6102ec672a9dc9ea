"""Deployment files: what containers of the image run, besides what its own config says."""

from __future__ import annotations

from imgslim.choices import Choices
from imgslim.deployments.selection import select_services as select_services
from imgslim.model.service import Service


def load_services(choices: Choices) -> tuple[Service, ...]:
    """All services of the files that ``choices`` names, whatever image they run.

    Several Compose files are one project, as ``docker compose -f A -f B`` has it; manifests know
    each other's ConfigMaps and Secrets. Raises
    UsageError for a file that is not there, cannot be read, or has no service.
    """
    found: list[Service] = []
    if choices.compose:
        from imgslim.deployments.compose import load_compose

        found += load_compose(choices.compose)
    if choices.kubernetes:
        from imgslim.deployments.kubernetes import load_manifests

        found += load_manifests(*choices.kubernetes)
    return tuple(found)
