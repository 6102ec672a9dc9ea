"""A real build that strips: the programs answer alike, and the image has the predicted size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imgslim.build import measure_image
from imgslim.choices import Choices
from imgslim.pipeline import analyze, rewrite
from tests import engines
from tests.worlds import tar_bytes

pytestmark = pytest.mark.engine

BASE = "python:3.11"
FAT, SLIM = "imgslim-test-strip:fat", "imgslim-test-strip:slim"

LIBRARY = "".join(
    f"struct s{i} {{ int a; long b[{i + 1}]; }};\nlong f{i}(struct s{i} *p) {{ return p->b[0]; }}\n"
    for i in range(400)
)
PROGRAM = r"""
#include <stdio.h>
long f7(void *);
int main(void) { long p[9] = {0, 42}; printf("%ld\n", f7(p)); return 0; }
"""
STEPS = (
    "RUN install -d -o 3 -g 4 -m 2750 /opt/app /opt/app/lib && cd /opt/app"
    " && gcc -g -shared -fPIC -o lib/libask.so /src/a.c && cp lib/libask.so lib/libbundle.so"
    " && printf payload >> lib/libbundle.so"
    " && gcc -g -o ask /src/m.c -Llib -lask -lbundle -Wl,--no-as-needed,-rpath,'$ORIGIN/lib'"
    " && chown 5:6 ask lib/libask.so && chmod 0751 ask"
    " && touch -d @1600000000 ask lib/* && touch -d @1500000000 lib .",
    'CMD ["/opt/app/ask"]',
)


@pytest.fixture(scope="module")
def fat() -> Iterator[str]:
    tar = tar_bytes({"/src/a.c": LIBRARY, "/src/m.c": PROGRAM})
    engines.import_over(BASE, tar, FAT, STEPS)
    yield FAT
    engines.remove_image(FAT)


def test_a_stripped_image_answers_alike_and_has_the_predicted_size(fat: str) -> None:
    with analyze(f"docker-daemon:{fat}", Choices(strip=True)) as analysis:
        plan, text = analysis.plan, rewrite(analysis)
    assert {keep.entry.path for keep in plan.keeps if keep.strip} == {"/opt/app/lib/libask.so"}
    try:
        engines.build("docker", text, SLIM)
        assert engines.run(SLIM) == engines.run(fat) == "42\n"
        size = measure_image(SLIM)
        after = engines.saved_tree(SLIM)
    finally:
        engines.remove_image(SLIM)
    assert abs(size - plan.slim_size_bytes) <= 0.001 * plan.slim_size_bytes
    before = engines.planned_nodes(plan.keeps)
    whole = {path: node for path, node in before.items() if path != "/opt/app/lib/libask.so"}
    assert differing(whole, after) == []
    library = "/opt/app/lib/libask.so"
    assert replace(after[library], size_bytes=0) == replace(before[library], size_bytes=0)


def differing(before: engines.Nodes, after: engines.Nodes) -> list[str]:
    """The paths that are not as they were; those that the engine itself touches left out."""
    paths = set(before) - engines.ENGINE_PATHS
    return sorted(path for path in paths if after.get(path) != before[path])
