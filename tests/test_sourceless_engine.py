"""Bytecode in the place of sources: the image runs and answers as the fat one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixtures.build import build_fixture, load_fixture
from imgslim.archive import Settings, write_archive
from imgslim.choices import Choices
from imgslim.pipeline import analyze, expect, rewrite, verify
from tests import engines
from tests.containers import answers

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("form", ["archive", "Dockerfile"])
def test_bytecode_answers_in_the_place_of_its_sources(form: str, tmp_path: Path) -> None:
    fixture = load_fixture("python-gunicorn")
    fat, tag = build_fixture(fixture), f"imgslim-sourceless-{form.lower()}:{os.getpid()}"
    try:
        with analyze(f"docker-daemon:{fat}", Choices(sources=False)) as analysis:
            moved = [keep for keep in analysis.plan.keeps if keep.moved_from]
            expected = expect(analysis)
            if form == "archive":
                target = tmp_path / "slim.tar"
                with target.open("wb") as file:
                    write_archive(
                        file, analysis.image, analysis.world, analysis.plan, Settings(tag)
                    )
                engines.docker("load", "--quiet", "--input", str(target))
            else:
                engines.build("docker", rewrite(analysis), tag)
        assert moved
        assert verify(f"docker-daemon:{tag}", expected)[1].differences == ()
        assert answers(tag, fixture) == answers(fat, fixture)
    finally:
        engines.remove_image(tag)
