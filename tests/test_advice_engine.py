"""Advice followed: each kind's own edit, the image built again, the bytes that were promised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from imgslim.audit import Audit
from imgslim.audit.model import AdviceKind
from imgslim.auditing import audit
from imgslim.cli.app import run
from imgslim.pipeline import open_world
from tests.advised import Source, edited
from tests.builders import Order, Workshop, workshop
from tests.engines import build, build_in, remove_image, require_builder

pytestmark = pytest.mark.engine

TOLERANCE = 0.05
BIG = bytes(range(256)) * 2000
"""Half a megabyte."""

ONE_SUITE = (
    r"sed -i 's/^Suites: bookworm .*/Enabled: no\n&/' /etc/apt/sources.list.d/debian.sources"
)
"""Leaves Debian's security updates alone: lists that are quickly fetched and read."""
FROM_SOURCE = "--break-system-packages --root-user-action=ignore --no-compile --no-binary docutils"
"""pip keeps the wheel that it builds, whatever a mirror says about keeping what it sent."""

DEBIAN, ALPINE = "debian:bookworm", "alpine:3.18"
LISTED = "imgslim-advised-base"
"""Debian with pip and its package lists: they are fetched once, and are a base image's."""
_LISTED = f"""\
FROM {DEBIAN}
RUN echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/quick && apt-get update && \\
    apt-get install -y --no-install-recommends python3-pip ca-certificates && apt-get clean && \\
    pip install --no-cache-dir --break-system-packages --upgrade pip
"""


@dataclass(frozen=True)
class Case:
    """A Dockerfile, and the kinds of advice that it is to get: ``edits`` of each."""

    dockerfile: str
    edits: Mapping[AdviceKind, int]
    files: Mapping[str, bytes] = field(default_factory=dict)
    base: str = ALPINE
    builder: str = "docker"


CASES = {
    "what apt leaves behind": Case(
        f"""\
FROM {DEBIAN}
RUN {ONE_SUITE} && apt-get update && apt-get install -y --no-install-recommends openssl
CMD ["cat", "/etc/debian_version"]
""",
        {AdviceKind.CLEAN: 5},
        base=DEBIAN,
    ),
    "what pip leaves behind": Case(
        f"""\
FROM {LISTED}
RUN pip install {FROM_SOURCE} docutils
CMD ["python3", "-m", "docutils"]
""",
        {AdviceKind.CLEAN: 1},
        base=LISTED,
    ),
    "what is only recommended": Case(
        f"""\
FROM {LISTED}
RUN apt-get install -y curl && apt-get clean
CMD ["curl", "--version"]
""",
        {AdviceKind.RECOMMENDS: 1},
        base=LISTED,
    ),
    "what dpkg brings in two RUNs": Case(
        f"""\
FROM {LISTED}
RUN apt-get install -y --no-install-recommends wget && apt-get clean
RUN apt-get install -y --no-install-recommends nano && apt-get clean
CMD ["sh", "-c", "wget --version && nano --version"]
""",
        # Documentation and translations of both, logs and backups of the last.
        {AdviceKind.CLEAN: 4},
        base=LISTED,
    ),
    "packages that only build": Case(
        f"""\
FROM {LISTED}
RUN apt-get install -y --no-install-recommends tcc libc6-dev bc && apt-get clean
COPY hello.c /src/
RUN tcc -o /usr/local/bin/hello /src/hello.c
CMD ["sh", "-c", "hello; bc"]
""",
        {AdviceKind.BUILD_STAGE: 1},
        {"hello.c": b'#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'},
        base=LISTED,
    ),
    "a toolchain without a package": Case(
        f"""\
FROM {ALPINE}
COPY rustc /root/.rustup/toolchains/stable/bin/
RUN cp /root/.rustup/toolchains/stable/bin/rustc /root/.rustup/toolchains/stable/cargo
RUN printf '#!/bin/sh\\necho hello\\n' > /usr/local/bin/hello && chmod +x /usr/local/bin/hello
CMD ["/usr/local/bin/hello"]
""",
        {AdviceKind.BUILD_STAGE: 1},
        {"rustc": BIG},
    ),
    "what COPY brought": Case(
        f"""\
FROM {ALPINE}
RUN mkdir -p /app/node_modules/x && cd /app/node_modules/x && head -c 512000 /dev/zero > index.js
COPY . /app
CMD ["/app/run.sh"]
""",
        {AdviceKind.DOCKERIGNORE: 1},
        {
            "run.sh": b"#!/bin/sh\nexec cat /app/node_modules/x/index.js\n",
            "node_modules/x/index.js": bytes(512000),
            ".git/HEAD": b"ref: refs/heads/main\n",
            ".git/objects/pack/pack-1.pack": BIG,
        },
    ),
    "what the next RUN deletes": Case(
        f"""\
FROM {ALPINE}
RUN mkdir /data && head -c 3000000 /dev/zero > /data/download && head -c 9 /dev/zero > /data/kept
COPY run.sh /
RUN rm /data/download
CMD ["/run.sh"]
""",
        {AdviceKind.JOIN: 1},
        {"run.sh": b"#!/bin/sh\nexec cat /data/kept\n"},
    ),
    "what later RUNs store again": Case(
        f"""\
FROM {ALPINE}
RUN mkdir /data && head -c 2000000 /dev/zero > /data/table
LABEL between=harmless
RUN chmod 600 /data/table
RUN head -c 700000 /dev/zero > /data/part && cat /data/part >> /data/table && rm /data/part
CMD ["cat", "/data/table"]
""",
        {AdviceKind.JOIN: 1},
        builder="buildah",
    ),
    "what is copied twice": Case(
        f"""\
FROM {ALPINE}
RUN echo ready > /ready
COPY data /srv/data
COPY data /opt/in/data
CMD ["cat", "/srv/data/one", "/opt/in/data/one"]
""",
        {AdviceKind.LINK: 1},
        {"data/one": BIG, "data/in/two": BIG[:3000]},
    ),
    "an owner that is set later": Case(
        f"""\
FROM {ALPINE}
COPY data /srv/data
RUN chown -R 1000:1000 /srv/data
CMD ["cat", "/srv/data/one"]
""",
        {AdviceKind.SAME_STEP: 1},
        {"data/one": BIG, "data/in/two": BIG},
    ),
    "a mode that is set later": Case(
        f"""\
FROM {ALPINE}
COPY data /srv/data
RUN chmod -R 750 /srv/data
CMD ["cat", "/srv/data/one"]
""",
        {AdviceKind.SAME_STEP: 1},
        {"data/one": BIG, "data/in/two": BIG},
        builder="buildkit",
    ),
    "an archive that is unpacked and deleted": Case(
        f"""\
FROM {ALPINE}
COPY data.tar /tmp/
RUN mkdir /data && tail -c 1000 /tmp/data.tar > /data/one && rm /tmp/data.tar
CMD ["cat", "/data/one"]
""",
        {AdviceKind.SAME_STEP: 1},
        {"data.tar": BIG},
        builder="buildkit",
    ),
}


@dataclass
class Bench:
    """The builders, each started when it is first asked for; numbers for archives."""

    folder: Path
    stack: ExitStack
    made: dict[str, Workshop] = field(default_factory=dict)
    count: int = 0

    def build(self, source: Source, builder: str) -> Path:
        require_builder(builder)
        if builder not in self.made:
            place = self.folder / builder
            place.mkdir()
            bases = [ALPINE] if builder != "docker" else [ALPINE, DEBIAN, LISTED]
            self.made[builder] = self.stack.enter_context(
                workshop(builder, place, dict.fromkeys(bases))
            )
        self.count += 1
        folder = self.folder / f"build-{self.count}"
        for name, data in {**source.files, "../Dockerfile": source.text.encode()}.items():
            path = folder / "context" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        archive = folder / "image.tar"
        order = Order(folder / "Dockerfile", folder / "context")
        self.made[builder].build(order, archive, f"imgslim-advised-{self.count}")
        return archive


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    build("docker", _LISTED, LISTED)
    with ExitStack() as stack:
        stack.callback(remove_image, LISTED)
        yield Bench(tmp_path_factory.mktemp("advised"), stack)


def audited(location: str, base: str | None, *, with_duplicates: bool = False) -> Audit:
    with open_world(location) as opened:
        known = base and f"docker-daemon:{base}"
        return audit(opened, base=known, with_duplicates=with_duplicates)


@pytest.mark.parametrize("name", CASES)
def test_an_edit_saves_what_it_promised(name: str, bench: Bench) -> None:
    case = CASES[name]
    source = Source.of(case.dockerfile, case.files)
    compares = AdviceKind.LINK in case.edits
    archive = str(bench.build(source, case.builder))
    before = audited(archive, case.base, with_duplicates=compares)
    advice = [row for row in before.advice if row.kind in case.edits]
    source = replace(source, base_layers=before.base.layer_count or 0)
    promised = sum(row.saved_bytes for row in advice)
    archive = str(bench.build(edited(source, advice), case.builder))
    after = audited(archive, case.base, with_duplicates=compares)
    saved = before.weight.size_bytes - after.weight.size_bytes
    assert {kind: sum(row.kind is kind for row in advice) for kind in case.edits} == case.edits
    assert saved == pytest.approx(promised, rel=TOLERANCE)
    assert [row.title for row in after.advice if row.kind in case.edits] == []


def test_a_base_with_tools_gives_way_to_a_last_stage_without_it(tmp_path: Path) -> None:
    base, fat, slim = (f"imgslim-advised-{name}" for name in ("tools", "fat", "slim"))
    context = tmp_path / "context"
    context.mkdir()
    (context / "run.sh").write_bytes(b"#!/bin/sh\necho hello\n")
    (context / "run.sh").chmod(0o755)
    source = context / "Dockerfile"
    source.write_text(f'FROM {base}\nCOPY run.sh /app/\nCMD ["/app/run.sh"]\n')
    try:
        tools = f"FROM {ALPINE}\nCOPY rustc /root/.rustup/toolchains/stable/bin/\n"
        build("docker", tools, base, files={"rustc": BIG * 4})
        build_in(context, source, fat)
        before = audited(f"docker-daemon:{fat}", base)
        advice = [row for row in before.advice if row.kind is AdviceKind.BUILD_STAGE]
        command = re.search("`(imgslim rewrite .*)`", advice[0].edit)
        assert command
        words = [fat if word == "IMAGE" else word for word in command[1].split()[1:]]
        written = context / "Dockerfile.slim"
        assert run([*words[:-1], str(source), "-o", str(written), "--quiet"]) == 0
        build_in(context, written, slim)
        after = audited(f"docker-daemon:{slim}", None)
    finally:
        remove_image(slim, fat, base)
    saved = before.weight.size_bytes - after.weight.size_bytes
    assert saved == pytest.approx(advice[0].saved_bytes, rel=TOLERANCE)
    assert after.advice == ()
