"""An image in an engine: saved as a stream to the temporary folder, then read as an archive."""

from __future__ import annotations

from imgslim.engine import connect
from imgslim.errors import ImageNotFoundError
from imgslim.model import Image, Platform
from imgslim.sources.assemble import assemble_image
from imgslim.sources.blobs import TarStore
from imgslim.sources.docker_archive import select_docker_image
from imgslim.sources.location import Location
from imgslim.sources.oci_layout import is_oci_layout, select_oci_image
from imgslim.sources.reference import familiar, is_image_id, looks_like_id, with_tag
from imgslim.sources.workspace import Workspace


def open_daemon_image(place: Location, platform: Platform | None, workspace: Workspace) -> Image:
    """Save the image from the engine and open it; every layer is hashed.

    Raises EngineError, ImageNotFoundError, OutputError (no space), and what archives raise.
    """
    reference = place.reference
    with connect() as engine:
        try:
            found = engine.inspect(reference)
        except ImageNotFoundError as error:
            raise _not_found(place, error.hint) from error
        workspace.require_space(found.size_bytes)
        # By id: a name without a tag would save every tag of it, and tags move.
        file = workspace.spool(
            engine.save(found.id), phase="reading from the engine", total=found.size_bytes
        )
    store = TarStore(file, f"what the engine saved of {reference}")
    select = select_oci_image if is_oci_layout(store) else select_docker_image
    return assemble_image(
        select(store, "", platform),
        workspace,
        reference=reference if is_image_id(reference, found.id) else with_tag(familiar(reference)),
        tags=tuple(familiar(tag) for tag in found.tags),
        repo_digests=tuple(familiar(digest) for digest in found.repo_digests),
        check_digests=True,
    )


def _not_found(place: Location, hint: str) -> ImageNotFoundError:
    name = place.reference if looks_like_id(place.reference) else with_tag(place.reference)
    also = ""
    if place.passed_over:
        also = f", and the {place.passed_over} {place.reference} is no image archive"
    return ImageNotFoundError(f"the engine has no image {name}{also}", hint=hint)
