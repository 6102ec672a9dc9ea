"""What should be in no image is found, told with its place, and never with its value."""

from __future__ import annotations

import csv
import io
import json
import struct
import sys
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from imgslim.audit import audit_image
from imgslim.cli.app import run
from imgslim.dirt import (
    Dirt,
    DirtKind,
    Finding,
    SecretScanner,
    cover_image,
    find_dirt,
    nothing_more,
)
from imgslim.dirt.texts import cover, find_in_instruction
from imgslim.layers import load_layers
from imgslim.model import HistoryRow, Image, ImageConfig, OriginKind
from imgslim.packages import load_packages
from imgslim.pipeline import judge
from imgslim.reports import audit_csv, audit_json, audit_markdown
from imgslim.reports.audit_text import render_audit
from imgslim.reports.console import Look
from imgslim.rootfs import Rootfs
from imgslim.world import World
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.test_cli import TREE, write_archive
from tests.worlds import Dir, File, Link, Tree, make_image

# Put together here, so that no scanner takes this file for a leak.
GITHUB = "ghp_" + "9Xk2Lq7VbN4mTzR8wYc3JdFhG6sPaE1oUiQ5"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn\n" * 20
PEM += "-----END RSA " + "PRIVATE KEY-----\n"
PASSWORD = "hunter2-battery"


def dirt_of(
    tmp_path: Path,
    *trees: Tree,
    config: ImageConfig | None = None,
    history: Sequence[HistoryRow] = (),
    scanner: SecretScanner | None = None,
) -> tuple[Dirt, str]:
    """The findings, and all that any report says: text in both widths, Markdown, CSV and JSON."""
    image = make_image(tmp_path, trees, config)
    if history:
        made = [row.created_by for row in history if not row.empty_layer]
        blobs = [replace(b, created_by=m) for b, m in zip(image.layers, made, strict=True)]
        image = replace(image, history=tuple(history), layers=tuple(blobs))
    layers = load_layers(image)
    with Rootfs.of_layers(layers) as rootfs:
        world = World(rootfs, image.config, image.platform, load_packages(rootfs), image.history)
        dirt = find_dirt(image, layers, world, scanner)
        quoted, clean = cover_image(image, layers, scanner.in_text if scanner else nothing_more)
        audit = audit_image(world, clean, judge(world).origin_of)
    looks = (Look(width=80), Look(width=100, verbose=True))
    reports = [render_audit(quoted, audit, dirt, look) for look in looks]
    reports += [
        audit_markdown.render_audit(quoted, audit, dirt),
        audit_csv.render_audit(audit, dirt),
    ]
    return dirt, "\n".join([*reports, audit_json.render_audit(quoted, audit, dirt)])


def found(dirt: Dirt, *kinds: DirtKind) -> dict[str, Finding]:
    return {f.where: f for f in dirt.findings if not kinds or f.kind in kinds}


@pytest.fixture(scope="session")
def scanner() -> SecretScanner:
    return SecretScanner()


# ------------------------------------------------------------------ permissions


def capability(*numbers: int) -> bytes:
    permitted = sum(1 << number for number in numbers)
    return struct.pack("<5I", 0x02000001, permitted & 0xFFFFFFFF, 0, permitted >> 32, 0)


def test_programs_that_run_with_more_rights_are_told(tmp_path: Path) -> None:
    tree: Tree = {
        "/usr/bin/su": File(b"x", mode=0o4755),
        "/usr/bin/su-too": File(hard_link="/usr/bin/su"),
        "/usr/bin/wall": File(b"x", mode=0o2755, gid=5),
        "/usr/bin/ping": File(b"x", xattrs=(("security.capability", capability(13, 39)),)),
        "/var/mail": Dir(mode=0o2775),
        "/etc/notes": File(b"x", mode=0o4644),
        "/usr/bin/link": Link("su"),
    }
    dirt, report = dirt_of(tmp_path, tree)
    assert {(f.kind.value, f.where, f.rule) for f in dirt.findings} == {
        ("setuid", "/usr/bin/su", "runs as root"),
        ("setgid", "/usr/bin/wall", "runs as group 5"),
        ("capabilities", "/usr/bin/ping", "cap_net_raw, cap_bpf"),
    }
    assert "/usr/bin/ping" in report


def test_a_setuid_program_that_a_later_layer_made_plain_is_none(tmp_path: Path) -> None:
    dirt, _ = dirt_of(tmp_path, {"/bin/x": File(b"x", mode=0o4755)}, {"/bin/x": File(b"x")})
    assert dirt.findings == ()


def test_what_everyone_may_write_is_told_once_for_a_tree(tmp_path: Path) -> None:
    tree: Tree = {
        "/app": Dir(mode=0o777),
        "/app/lib": Dir(mode=0o755),
        "/app/lib/a.py": File(b"x", mode=0o666),
        "/app/b.py": File(b"x", mode=0o666),
        "/app-data": File(b"x", mode=0o602),
        "/tmp": Dir(mode=0o1777),
        "/var/tmp": Dir(mode=0o777),
        "/etc/link": Link("x"),
    }
    dirt, report = dirt_of(tmp_path, tree)
    assert {f.where: f.count for f in dirt.findings} == {"/app": 3, "/app-data": 1, "/var/tmp": 1}
    assert {f.kind for f in dirt.findings} == {DirtKind.WORLD_WRITABLE}
    assert "with 2 below it" in report


# ------------------------------------------------------------------ by name

BY_NAME: Mapping[str, tuple[str, bytes | str]] = {
    "/root/.bash_history": ("history", f"export TOKEN={PASSWORD}\n"),
    "/home/app/.local/share/fish/fish_history": ("history", "- cmd: ls\n"),
    "/root/.python_history": ("history", "1+1\n"),
    "/root/.ssh/id_ed25519": ("private-key", PEM.replace("RSA", "OPENSSH")),
    "/app/tls/server.key": ("private-key", PEM.replace("RSA ", "")),
    "/app/tls/both.pem": ("private-key", "-----BEGIN CERTIFICATE-----\n" + PEM),
    "/app/store.jks": ("private-key", b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\1rest"),
    "/app/login.p12": ("private-key", b"\x30\x82\x0a\x00rest"),
    "/root/.npmrc": ("credentials", f"//registry.npmjs.org/:_authToken={GITHUB}\n"),
    "/root/.netrc": ("credentials", f"machine example.net login me password {PASSWORD}\n"),
    "/root/.docker/config.json": ("credentials", '{"auths": {"x": {"auth": "bWU6aHVudGVyMg=="}}}'),
    "/root/.aws/credentials": ("credentials", f"[default]\naws_secret_access_key = {PASSWORD}\n"),
    "/src/.git/config": ("credentials", f"[remote]\nurl = https://{GITHUB}@example.net/a.git\n"),
    "/app/.env": ("credentials", f"DEBUG=1\nexport DB_PASSWORD='{PASSWORD}'\n"),
}

NOT_BY_NAME: Mapping[str, bytes | str] = {
    "/root/.zsh_history": "",
    "/app/tls/chain.pem": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "/app/tls/public.key": "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n",
    "/app/trust.jks": b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\2rest",
    "/home/a/.npmrc": "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\nfund=false\n",
    "/home/a/.docker/config.json": '{"credsStore": "pass"}',
    "/srv/.env": "DEBUG=1\nDB_PASSWORD=\nTOKEN_FILE=/run/secrets/token\nTOKEN=${TOKEN}\n",
    "/src/other/config": "[remote]\nurl = https://example.net/a.git\n",
}


def test_files_are_found_by_name_and_by_how_they_begin(tmp_path: Path) -> None:
    tree: Tree = {path: content for path, (_, content) in BY_NAME.items()}
    dirt, report = dirt_of(tmp_path, tree, NOT_BY_NAME)
    kinds = {path: finding.kind.value for path, finding in found(dirt).items()}
    assert kinds == {path: kind for path, (kind, _) in BY_NAME.items()}
    assert GITHUB not in report and PASSWORD not in report and "MIIEow" not in report


def test_what_is_deleted_is_still_stored_and_told_with_both_instructions(tmp_path: Path) -> None:
    history = [
        HistoryRow("COPY id_rsa /root/.ssh/id_rsa # buildkit", False),
        HistoryRow("ENV A=1", True),
        HistoryRow(
            "RUN /bin/sh -c git clone git@example.net:a && rm -r /root/.ssh # buildkit", False
        ),
        HistoryRow("COPY env /app/.env # buildkit", False),
        HistoryRow("RUN /bin/sh -c : > /app/.env # buildkit", False),
    ]
    trees: list[Tree] = [
        {"/root/.ssh/id_rsa": PEM, "/opt": Link("srv"), "/srv": Dir()},
        {"/root/.wh..ssh": ""},
        {"/app/.env": f"DB_PASSWORD={PASSWORD}", "/opt/key.pem": PEM},
        {"/app/.env": "", "/srv/.wh.key.pem": ""},
    ]
    dirt, report = dirt_of(tmp_path, *trees, history=history)
    places = found(dirt)
    assert set(places) == {"/root/.ssh/id_rsa", "/app/.env", "/srv/key.pem"}
    key = places["/root/.ssh/id_rsa"]
    assert (key.layer_index, key.instruction) == (0, "COPY id_rsa /root/.ssh/id_rsa")
    assert key.deleted_by is not None
    assert (key.deleted_by.layer_index, key.deleted_by.how) == (1, "deleted")
    assert key.deleted_by.instruction == "RUN git clone git@example.net:a && rm -r /root/.ssh"
    overwritten = places["/app/.env"].deleted_by
    assert overwritten is not None and (overwritten.layer_index, overwritten.how) == (
        3,
        "overwritten",
    )
    shown = " ".join(report.split())
    assert "deleted by layer 1: RUN git clone" in shown
    assert PASSWORD not in report and "MIIEow" not in report


# ------------------------------------------------------------------ whose files


def debian_tree() -> dict[str, File | Dir | Link | str | bytes]:
    """A system like Debian's, with the keys and examples that its packages bring."""
    files = {
        "/usr/bin/passwd": File(b"x", mode=0o4755),
        "/usr/share/doc/ssl/demo.pem": File(PEM),
        "/usr/lib/python3/test/keycert.pem": File(PEM),
        "/usr/share/app/settings.py": File(f"token = '{GITHUB}'\n"),
        "/usr/lib/python3/test/keys.py": File(f"token = '{GITHUB}'\n"),
        "/usr/lib/libgnutls.so.30": File(b"\x7fELF\0" + PEM.encode()),
    }
    listing = "/.\n" + "".join(f"{path}\n" for path in files)
    return {
        **files,
        "/etc/ssl/certs/ca.pem": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "/etc/ssl/private/ssl-cert-snakeoil.key": PEM,
        "/usr/lib/python3/test/__pycache__/keys.cpython-311.pyc": f"{GITHUB}\n",
        "/var/lib/dpkg/info/base.list": listing,
        "/var/lib/dpkg/info/ssl-cert.list": "/.\n",
        "/var/lib/dpkg/status": "".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
            for name in ("base", "ssl-cert")
        ),
        "/tmp": Dir(mode=0o1777),
        "/app/node_modules/tls/package.json": '{"name": "tls", "version": "1.0.0"}',
        "/app/node_modules/tls/test/key.pem": PEM,
    }


def test_what_packages_bring_is_not_the_users(tmp_path: Path, scanner: SecretScanner) -> None:
    dirt, report = dirt_of(tmp_path, debian_tree(), scanner=scanner)
    assert [(f.kind.value, f.where, f.owner) for f in dirt.findings] == [
        ("setuid", "/usr/bin/passwd", "deb:base")
    ]
    spared = {row.origin: row.files for row in dirt.spared}
    assert spared[OriginKind.PACKAGE] >= 5
    assert "not read: " in report


def test_keys_of_packages_are_counted_and_not_told(tmp_path: Path) -> None:
    dirt, report = dirt_of(tmp_path, debian_tree())
    assert set(found(dirt)) == {"/usr/bin/passwd"}
    spared = {row.origin.value: row.files for row in dirt.spared}
    assert spared == {"package": 2, "generated": 1, "distribution": 1}
    assert "not told: 2 files of a package" in report


def test_what_a_package_brought_and_lost_is_not_the_users(tmp_path: Path) -> None:
    purged: Tree = {
        "/usr/share/doc/ssl/.wh.demo.pem": "",
        "/var/lib/dpkg/info/.wh.base.list": "",
        "/var/lib/dpkg/status": "",
    }
    dirt, _ = dirt_of(
        tmp_path, {**debian_tree(), "/root/a.pem": PEM}, purged, {"/root/.wh.a.pem": ""}
    )
    gone = {finding.where for finding in dirt.findings if finding.deleted_by}
    assert gone == {"/root/a.pem"}


def test_a_key_put_over_a_packages_file_is_the_users(tmp_path: Path) -> None:
    dirt, _ = dirt_of(tmp_path, debian_tree(), {"/usr/share/doc/ssl/demo.pem": PEM + "mine\n"})
    assert "/usr/share/doc/ssl/demo.pem" in found(dirt, DirtKind.PRIVATE_KEY)


def test_a_distribution_that_the_build_made_is_the_users(tmp_path: Path) -> None:
    site = "/usr/lib/python3.11/site-packages"

    def distribution(name: str, **more: str) -> Tree:
        files = {
            f"{site}/{name}/secret.pem": PEM,
            f"{site}/{name}-1.dist-info/METADATA": f"Name: {name}\nVersion: 1\n",
        }
        files |= {
            f"{site}/{name}-1.dist-info/{key.replace('_json', '.json')}": value
            for key, value in more.items()
        }
        record = "".join(f"{path.removeprefix(site + '/')},,\n" for path in files)
        return {**files, f"{site}/{name}-1.dist-info/RECORD": record}

    own = distribution("own", direct_url_json='{"url": "file:///src", "dir_info": {}}')
    dirt, _ = dirt_of(tmp_path, {**distribution("theirs"), **own})
    assert set(found(dirt)) == {f"{site}/own/secret.pem"}


def test_host_keys_that_a_package_made_are_told(tmp_path: Path) -> None:
    tree = {**debian_tree(), "/etc/ssh/ssh_host_ed25519_key": PEM.replace("RSA", "OPENSSH")}
    tree["/var/lib/dpkg/status"] = str(tree["/var/lib/dpkg/status"]).replace(
        "ssl-cert", "openssh-server"
    )
    dirt, _ = dirt_of(tmp_path, tree)
    assert "/etc/ssh/ssh_host_ed25519_key" in found(dirt, DirtKind.PRIVATE_KEY)


# ------------------------------------------------------------------ config and history


def test_tokens_of_the_config_are_told_without_their_values(tmp_path: Path) -> None:
    config = ImageConfig(
        env=(
            ("PATH", "/usr/bin"),
            ("GITHUB_TOKEN", PASSWORD),
            ("DATABASE_URL", f"postgres://app:{PASSWORD}@db/app"),
            ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
            ("DB_PASSWORD_FILE", "/run/secrets/db"),
            ("SECRET_KEY", ""),
            ("POSTGRES_HOST_AUTH_METHOD", "trust"),
            ("PUBLIC_KEY", "abc123abc123abc123"),
        ),
        labels=(("deploy", GITHUB), ("version", "1.2")),
        cmd=("app", "--password", PASSWORD, "--disabled-password", "app"),
        entrypoint=("sh", "-c", f'curl -H "Authorization: Bearer {PASSWORD}" x'),
    )
    history = [
        HistoryRow("ADD rootfs.tar /", False),
        HistoryRow(f"ENV PATH=/usr/bin GITHUB_TOKEN={PASSWORD}", True),
        HistoryRow(f'CMD ["app" "--password" "{PASSWORD}"]', True),
    ]
    dirt, report = dirt_of(tmp_path, {"/a": "x"}, config=config, history=history)
    places = found(dirt, DirtKind.TOKEN)
    assert set(places) == {
        "<env GITHUB_TOKEN>",
        "<env DATABASE_URL>",
        "<label deploy>",
        "<cmd>",
        "<entrypoint>",
    }
    assert places["<env GITHUB_TOKEN>"].instruction == "ENV PATH=/usr/bin GITHUB_TOKEN=***"
    assert PASSWORD not in report and GITHUB not in report


def test_tokens_of_the_history_are_told_and_covered_everywhere(tmp_path: Path) -> None:
    spaced = "two words, $and more"
    history = [
        HistoryRow(f"ARG NPM_TOKEN={spaced}", True),
        HistoryRow(f"RUN |2 A=1 NPM_TOKEN={spaced} /bin/sh -c npm ci # buildkit", False),
        HistoryRow(f"RUN |2 A=1 NPM_TOKEN={spaced} /bin/sh -c npm run build # buildkit", False),
        HistoryRow(
            f"RUN /bin/sh -c git clone https://me:{PASSWORD}@example.net/a # buildkit", False
        ),
        HistoryRow(f"RUN /bin/sh -c echo {PASSWORD} > /dev/null # buildkit", False),
    ]
    dirt, report = dirt_of(tmp_path, *[{f"/{n}": "x"} for n in range(4)], history=history)
    places = found(dirt, DirtKind.TOKEN)
    assert set(places) == {"<history 1>", "<build argument NPM_TOKEN>", "<history 4>"}
    argument = places["<build argument NPM_TOKEN>"]
    assert (argument.layer_index, argument.count) == (0, 2)
    assert places["<history 4>"].layer_index == 2
    assert places["<history 4>"].instruction == "RUN git clone https://me:***@example.net/a"
    assert "two words" not in report and "$and more" not in report and PASSWORD not in report


COVERED = {
    "RUN /bin/sh -c TOKEN=abc123def make": "RUN /bin/sh -c TOKEN=*** make",
    "RUN /bin/sh -c TOKEN='a b' make": "RUN /bin/sh -c TOKEN=*** make",
    'RUN /bin/sh -c sh -c "API_TOKEN=abc1 make"': 'RUN /bin/sh -c sh -c "API_TOKEN=*** make"',
    "RUN /bin/sh -c app --api-token=abc123 x": "RUN /bin/sh -c app --api-token=*** x",
    "RUN /bin/sh -c curl -u me:p$ss https://x": "RUN /bin/sh -c curl -u me:*** https://x",
    "RUN /bin/sh -c echo 'app:pw' | chpasswd": "RUN /bin/sh -c echo 'app:***' | chpasswd",
    "/bin/sh -c #(nop)  ENV APP_SECRET=a b": "/bin/sh -c #(nop)  ENV APP_SECRET=***",
    "ENV A=1 DB_PASSWORD=a b C=2": "ENV A=1 DB_PASSWORD=*** C=2",
    "|2 A=b TOKEN=x y /bin/sh -c make": "|2 A=b TOKEN=*** /bin/sh -c make",
}

UNCOVERED = (
    "RUN /bin/sh -c TOKEN=$(cat /run/secrets/token) make",
    "RUN /bin/sh -c adduser --disabled-password app",
    "RUN /bin/sh -c docker login --password-stdin registry",
    "RUN /bin/sh -c curl https://${USER}:${PASS}@example.net",
    "RUN /bin/sh -c npm config set //registry.npmjs.org/:_authToken=${NPM_TOKEN}",
    "ENV GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D",
    "ENV KEYBOARD=us MONKEY=bananas1234567890",
    "RUN /bin/sh -c apt-key adv --keyserver k.example.net --recv-keys 0x0123456789ABCDEF",
    "COPY --from=build /etc/ssl/key.pem /etc/ssl/key.pem",
)


@pytest.mark.parametrize("text", COVERED)
def test_a_secret_in_an_instruction_is_covered(text: str) -> None:
    assert cover(text, find_in_instruction(text)) == COVERED[text]


@pytest.mark.parametrize("text", UNCOVERED)
def test_what_is_no_secret_stays(text: str) -> None:
    assert find_in_instruction(text) == ()


# ------------------------------------------------------------------ contents


def test_secrets_in_files_are_found_with_their_line(tmp_path: Path, scanner: SecretScanner) -> None:
    source = f"import os\n\nTOKEN = '{GITHUB}'\nAGAIN = '{GITHUB}'\n"
    base: Tree = {"/app/settings.py": source, "/app/main.py": "print(1)\n"}
    later: Tree = {"/app/old.js": f"fetch('{GITHUB}')"}
    dirt, report = dirt_of(tmp_path, base, later, {"/app/.wh.old.js": ""}, scanner=scanner)
    places = found(dirt, DirtKind.SECRET)
    assert set(places) == {"/app/settings.py", "/app/old.js"}
    here = places["/app/settings.py"]
    assert (here.line, here.count, here.rule) == (3, 2, "betterleaks.github-pat")
    gone = places["/app/old.js"].deleted_by
    assert gone is not None and gone.layer_index == 2
    assert GITHUB not in report
    assert dirt.scanned is not None and dirt.scanned.files == 3


def test_a_scanner_covers_what_the_names_do_not_show(
    tmp_path: Path, scanner: SecretScanner
) -> None:
    token = "glsa_" + "9Xk2Lq7VbN4mTzR8wYc3JdFhG6sPaE1o_0a1b2c3d"
    history = [HistoryRow(f"RUN /bin/sh -c setup é {token} # buildkit", False)]
    dirt, report = dirt_of(tmp_path, {"/a": "x"}, history=history, scanner=scanner)
    assert [f.instruction for f in dirt.findings] == ["RUN setup é ***"]
    assert token not in report


def test_binary_and_compressed_files_do_not_stop_it(tmp_path: Path, scanner: SecretScanner) -> None:
    tree: Tree = {
        "/app/data.bin": bytes(range(256)) * 5000,
        "/app/program": b"\x7fELF" + b"\0\1\xff" * 3000 + b"\0" + GITHUB.encode() + b"\0" * 10,
        "/app/a.png": b"\x89PNG\r\n\x1a\n" + GITHUB.encode(),
        "/app/\udcff.env": b"\xff\xfe=\x00\nTOKEN=\xff" + PASSWORD.encode(),
        "/app/key.pem": b"\xff\xfe\x00",
    }
    dirt, report = dirt_of(tmp_path, tree, scanner=scanner)
    assert set(found(dirt)) == {"/app/program", "/app/\udcff.env"}
    assert dirt.scanned is not None and dirt.scanned.compressed_files == 1
    assert PASSWORD not in report and json.loads(report[report.index("\n{\n") :])["dirt"]


def test_a_large_file_is_read_in_windows(tmp_path: Path, scanner: SecretScanner) -> None:
    mebibyte = (b"x" * 63 + b"\n") * (1 << 14)
    line = f"token = '{GITHUB}'\n".encode()
    # One secret across the border of two windows, one at the end.
    start = mebibyte * 4
    content = start[:-20] + line + start * 24 + line
    image = make_image(tmp_path, [{"/app/data.log": content, "/root/server.key": content}])
    lines = (content[: len(content) - len(line)]).count(b"\n") + 1
    del content, start
    layers = load_layers(image)
    with Rootfs.of_layers(layers) as rootfs:
        world = World(rootfs, image.config, image.platform, load_packages(rootfs))
        tracemalloc.start()
        dirt = find_dirt(image, layers, world, scanner)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    place = found(dirt)["/app/data.log"]
    assert (place.count, place.line) == (2, 65536)
    assert lines > 1_500_000
    assert peak < 25_000_000


def test_a_window_holds_the_longest_key(tmp_path: Path, scanner: SecretScanner) -> None:
    key = PEM.replace("MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn\n" * 20, ("MIIJ" + "k3Fz" * 15 + "\n") * 190)
    pad = b"y" * ((4 << 20) - 60) + b"\n"
    dirt, _ = dirt_of(tmp_path, {"/app/all.txt": pad + key.encode() + b"\n"}, scanner=scanner)
    assert [(f.where, f.count) for f in dirt.findings] == [("/app/all.txt", 1)]


def test_an_image_without_history_is_searched_all_the_same(tmp_path: Path) -> None:
    image: Image = replace(
        make_image(tmp_path, [{"/root/.netrc": "machine a password b"}]), history=()
    )
    layers = load_layers(image)
    with Rootfs.of_layers(layers) as rootfs:
        world = World(rootfs, image.config, image.platform, load_packages(rootfs))
        assert [f.where for f in find_dirt(image, layers, world).findings] == ["/root/.netrc"]


@pytest.mark.parametrize("form", ["table", "json"])
def test_the_command_tells_places_and_no_values(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base: Tree = {"/root/.netrc": f"machine x password {PASSWORD}", "/app/a.py": f"t = '{GITHUB}'"}
    archive = write_archive(tmp_path / "app.tar", TREE, base, {"/root/.wh..netrc": ""})
    assert run(["audit", str(archive), "--secrets", "--format", form, "--verbose"]) == 0
    shown = capsys.readouterr()
    assert "/root/.netrc" in shown.out and "/app/a.py" in shown.out
    assert PASSWORD not in shown.out + shown.err and GITHUB not in shown.out + shown.err
    assert run(["audit", str(archive), "--format", form]) == 0
    assert "betterleaks" not in capsys.readouterr().out


FATES: dict[str, File | Dir | Link | str | bytes] = {
    "/root/.bash_history": "ls\n",
    "/opt/tool": File(b"x", mode=0o4755),
    "/opt/tool-too": File(hard_link="/opt/tool"),
    "/var/spool/open": Dir(mode=0o777),
    "/root/.netrc": f"machine x password {PASSWORD}",
}
VERDICTS = {
    ("setuid", "/opt/tool"): "needed",
    ("world-writable", "/var/spool/open"): "removable",
    ("history", "/root/.bash_history"): "removable",
    ("credentials", "/root/.netrc"): "hidden",
    ("token", "<env API_TOKEN>"): "",
}


def archive_of_fates(tmp_path: Path) -> str:
    """An image that runs a second name of a setuid program, and needs nothing else that is told."""
    base: Tree = {**FATES, "/opt/tool": File(elf(), mode=0o4755)}
    made = Made(
        [base, {"/root/.wh..netrc": ""}],
        {"Entrypoint": ["/opt/tool-too"], "Env": [f"API_TOKEN={GITHUB}"]},
        ["app:1"],
    )
    return str(docker_archive(tmp_path / "fates.tar", made))


DROPS = ("--drop", "/root/.bash_history", "--drop", "/var/spool/open")


def test_each_finding_says_whether_the_slim_image_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = archive_of_fates(tmp_path)

    def told(form: str, *options: str) -> str:
        assert run(["audit", archive, "--format", form, *DROPS, *options]) == 0
        return capsys.readouterr().out

    rows = json.loads(told("json"))["dirt"]["findings"]
    assert {(r["kind"], r["where"]): r["verdict"] or "" for r in rows} == VERDICTS
    table = csv.DictReader(io.StringIO(told("csv", "--by", "dirt")))
    assert {(r["kind"], r["where"]): r["verdict"] for r in table} == VERDICTS
    text, lines = told("table"), told("markdown")
    page = told("html")
    for (_, where), verdict in VERDICTS.items():
        if verdict:
            assert f"    {where}  {verdict}  (" in text
            assert f"{where}, {verdict} (" in lines.replace("\\", "")
            assert f"{where}, {verdict} (" in page


def test_dirt_alone_is_one_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", archive_of_fates(tmp_path), "--by", "dirt"]) == 0
    shown = capsys.readouterr().out
    assert "What should not be in an image" in shown and "By layer" not in shown


def test_without_a_plan_what_is_in_the_tree_is_undecided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made([FATES, {"/root/.wh..netrc": ""}], {"Entrypoint": ["/none"]}, ["app:1"])
    archive = docker_archive(tmp_path / "none.tar", made)
    assert run(["audit", str(archive), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["dirt"]["findings"]
    assert {r["where"]: r["verdict"] for r in rows if r["where"].startswith("/")} == {
        "/opt/tool": "undecided",
        "/var/spool/open": "undecided",
        "/root/.bash_history": "undecided",
        "/root/.netrc": "hidden",
    }


def test_the_programs_of_packages_are_summed_up_by_what_becomes_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree: Tree = {
        "/usr/bin/run": File(elf(), mode=0o4755),
        "/usr/bin/mount": File(b"x", mode=0o4755),
        "/usr/bin/umount": File(b"x", mode=0o4755),
        "/var/lib/dpkg/info/base.list": "/.\n/usr/bin/run\n",
        "/var/lib/dpkg/info/mount.list": "/.\n/usr/bin/mount\n/usr/bin/umount\n",
        "/var/lib/dpkg/status": "".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
            for name in ("base", "mount")
        ),
    }
    made = Made([tree], {"Entrypoint": ["/usr/bin/run"]}, ["app:1"])
    assert run(["audit", str(docker_archive(tmp_path / "a.tar", made))]) == 0
    assert (
        "3 programs (needed 1, removable 2) of deb:base 1, deb:mount 2" in capsys.readouterr().out
    )


def test_without_the_extra_secrets_say_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kingfisher_sdk", None)
    archive = write_archive(tmp_path / "app.tar")
    assert run(["audit", str(archive), "--secrets"]) == 2
    assert "pip install 'kingfisher-secret-scanner<2'" in capsys.readouterr().err
    assert run(["audit", str(archive)]) == 0
