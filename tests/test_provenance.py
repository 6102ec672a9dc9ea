"""Who put a path into the image."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imgslim.model import Claim, ImageConfig, Origin, OriginKind, Scope
from imgslim.provenance import classify
from tests.worlds import Dir, File, Link, Tree, make_world

PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\nno:x:9:9::/:\n"
SITE = "/usr/lib/python3.11/site-packages"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def kind_of(tmp_path: Path, tree: Tree, path: str, config: ImageConfig | None = None) -> str:
    world = make_world(tmp_path, {"/etc/passwd": PASSWD, "/root/x": "", **tree}, config=config)
    return classify(world, ())(path).kind.value


USERS = [
    ("/app/main.py", {"/app/main.py": ""}),
    ("/root/.cache/huggingface/m.bin", {"/root/.cache/huggingface/m.bin": ""}),
    ("/root/.cache/ms-playwright/chrome", {"/root/.cache/ms-playwright/chrome": ""}),
    ("/root/.cache/pypoetry/virtualenvs/a/x", {"/root/.cache/pypoetry/virtualenvs/a/x": ""}),
    ("/srv/pip/wheel", {"/srv/pip/wheel": ""}),
    ("/app/.git", {"/app/.git/config": ""}),  # a directory of that name is no repository
    ("/app/.mypy_cache/x", {"/app/.mypy_cache/x": ""}),
    (
        "/app/target/release/app",
        {"/app/target/.rustc_info.json": "", "/app/target/release/app": ""},
    ),
    ("/app/target/release/deps/x", {"/app/target/release/deps/x": ""}),
    ("/var/log/nginx/access.log", {"/var/log/nginx/access.log": Link("/dev/stdout")}),
    ("/var/log/app", {"/var/log/app": Dir(0o700, 5)}),
    ("/run/app", {"/run/app": Dir()}),
    ("/etc/localtime", {"/etc/localtime": Link("/usr/share/zoneinfo/Europe/Rome")}),
    ("/etc/timezone", {"/etc/timezone": "Europe/Rome\n"}),
    (
        "/etc/profile",
        {"/etc/profile": "mine", "/usr/share/base-files/profile": "base"},
    ),
    ("/home/app/.bashrc", {"/home/app/.bashrc": "mine", "/etc/skel/.bashrc": "skel"}),
    ("/etc/rc.local", {"/etc/rc.local": ""}),
    ("/usr/local/bin/app", {"/usr/local/bin/app": Link("/opt/app/app")}),
    ("/usr/local/share/app", {"/usr/local/share/app": Dir()}),
    ("/etc/nginx/sites-enabled/app", {"/etc/nginx/sites-enabled/app": Link("../sites/app")}),
    ("/root/.cargo/bin/app", {"/root/.cargo/bin/app": "", "/root/.cargo/bin/cargo": ""}),
    (
        "/app/__pycache__/a.cpython-311.pyc",
        {"/app/__pycache__/a.cpython-311.pyc": "", "/app/a.py": ""},
    ),
    ("/usr/local/bin/node", {"/usr/local/bin/node": ""}),  # not the official layout
]


@pytest.mark.parametrize(("path", "tree"), USERS, ids=[case[0] for case in USERS])
def test_the_users_own(tmp_path: Path, path: str, tree: Tree) -> None:
    assert kind_of(tmp_path, tree, path) == "user"


NODE = {"/usr/local/include/node/node_version.h": ""}
OTHERS: list[tuple[str, str, Tree]] = [
    ("/etc/hosts", "engine", {"/etc/hosts": ""}),
    ("/dev/null", "engine", {"/dev/null": ""}),
    ("/app/.git/objects/a", "version control", {"/app/.git/HEAD": "", "/app/.git/objects/a": ""}),
    ("/app/lib/.git", "version control", {"/app/lib/.git": "gitdir: ../../.git/modules/lib"}),
    ("/root/.cache/pip/http/a", "cache", {"/root/.cache/pip/http/a": ""}),
    ("/home/app/.npm/_cacache/a", "cache", {"/home/app/.npm/_cacache/a": ""}),
    ("/var/lib/apt/lists/x", "cache", {"/var/lib/apt/lists/x": ""}),
    (
        "/app/.mypy_cache/x",
        "cache",
        {"/app/.mypy_cache/x": "", "/app/.mypy_cache/CACHEDIR.TAG": ""},
    ),
    (
        "/app/target/release/deps/x",
        "cache",
        {"/app/target/.rustc_info.json": "", "/app/target/release/deps/x": ""},
    ),
    ("/usr/bin/awk", "generated", {"/usr/bin/awk": Link("/etc/alternatives/awk")}),
    ("/bin/ls", "generated", {"/bin/ls": Link("/bin/busybox")}),
    ("/etc/rc2.d/S01x", "generated", {"/etc/rc2.d/S01x": Link("../init.d/x")}),
    ("/etc/localtime", "generated", {"/etc/localtime": Link("/usr/share/zoneinfo/Etc/UTC")}),
    ("/etc/ssl/certs/0a1b2c3d.0", "generated", {"/etc/ssl/certs/0a1b2c3d.0": Link("Some.pem")}),
    (
        "/etc/profile",
        "generated",
        {"/etc/profile": "base", "/usr/share/base-files/profile": "base"},
    ),
    ("/home/app/.bashrc", "generated", {"/home/app/.bashrc": "s", "/etc/skel/.bashrc": "s"}),
    ("/var/lib/dpkg/status-old", "generated", {"/var/lib/dpkg/status-old": ""}),
    ("/usr/share/mime/image/png.xml", "generated", {"/usr/share/mime/image/png.xml": ""}),
    ("/etc/tool.conf.dpkg-old", "generated", {"/etc/tool.conf.dpkg-old": ""}),
    ("/usr/local/bin/node", "runtime", {**NODE, "/usr/local/bin/node": ""}),
    (
        "/root/.rustup/toolchains/stable/bin/rustc",
        "runtime",
        {"/root/.rustup/toolchains/stable/bin/rustc": ""},
    ),
    ("/root/.cargo/bin/cargo", "runtime", {"/root/.cargo/bin/cargo": ""}),
    ("/root/.cargo/registry/index/a", "cache", {"/root/.cargo/registry/index/a": ""}),
    ("/root/.cargo/.crates2.json", "runtime", {"/root/.cargo/.crates2.json": ""}),
]


@pytest.mark.parametrize(("path", "kind", "tree"), OTHERS, ids=[case[0] for case in OTHERS])
def test_what_tools_and_package_scripts_put_there(
    tmp_path: Path, path: str, kind: str, tree: Tree
) -> None:
    assert kind_of(tmp_path, tree, path) == kind


def test_variables_move_caches(tmp_path: Path) -> None:
    config = ImageConfig(env=(("GOMODCACHE", "/mods"), ("PIP_CACHE_DIR", "/"), ("GOCACHE", "off")))
    tree = {"/mods/a": "", "/app/a": ""}
    assert kind_of(tmp_path, tree, "/mods/a", config) == "cache"
    assert kind_of(tmp_path, tree, "/app/a", config) == "user"


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (ImageConfig(cmd=("java", "-jar", "app.jar")), "cache"),
        (ImageConfig(cmd=("mvn", "exec:java")), "user"),
        (ImageConfig(entrypoint=("/bin/sh", "-c", "cd /app && ./mvnw exec:java")), "user"),
        (ImageConfig(entrypoint=("/start.sh",)), "user"),
    ],
)
def test_a_cache_that_the_command_may_read_is_the_users(
    tmp_path: Path, config: ImageConfig, kind: str
) -> None:
    tree: Tree = {
        "/root/.m2/repository/a.jar": "",
        "/start.sh": File("#!/bin/sh\nexec mvn spring-boot:run\n", 0o755),
    }
    assert kind_of(tmp_path, tree, "/root/.m2/repository/a.jar", config) == kind


def debian(files: dict[str, str], conffile: str = "") -> dict[str, str]:
    """A package "tool" that shipped ``files`` and, among them, one configuration file."""
    md5s = "".join(f"{md5(text)}  {path[1:]}\n" for path, text in files.items())
    conffiles = f"Conffiles:\n {conffile} {md5(files[conffile])}\n" if conffile else ""
    return {
        **files,
        "/var/lib/dpkg/status": f"Package: tool\nStatus: install ok installed\n{conffiles}",
        "/var/lib/dpkg/info/tool.list": "\n".join(files),
        "/var/lib/dpkg/info/tool.md5sums": md5s,
    }


def test_an_edited_configuration_file_is_the_users_also_when_squashed(tmp_path: Path) -> None:
    shipped = debian({"/etc/tool.conf": "shipped", "/usr/bin/tool": "x"}, "/etc/tool.conf")
    edited = classify(make_world(tmp_path, {**shipped, "/etc/tool.conf": "edited"}), ())
    assert edited("/etc/tool.conf") == Origin(OriginKind.USER, "changed from deb:tool")
    assert edited("/usr/bin/tool") == Origin(OriginKind.PACKAGE, "deb:tool")
    unedited = classify(make_world(tmp_path, shipped), ())
    assert unedited("/etc/tool.conf").kind is OriginKind.PACKAGE


@pytest.mark.parametrize(
    ("content", "kind"), [("patched", OriginKind.USER), ("shipped", OriginKind.PACKAGE)]
)
def test_a_later_layer_that_rewrites_a_packages_file(
    tmp_path: Path, content: str, kind: OriginKind
) -> None:
    base = debian({"/usr/lib/tool.py": "shipped"})
    later = {"/usr/lib/tool.py": File(content, 0o755)}
    assert classify(make_world(tmp_path, base, later), ())("/usr/lib/tool.py").kind is kind


def test_ucf_files_are_the_packages_until_they_are_edited(tmp_path: Path) -> None:
    hashes = f"{md5('shipped')}  /etc/a.conf\n{md5('shipped')}  /etc/b.conf\n"
    tree = {"/etc/a.conf": "shipped", "/etc/b.conf": "edited", "/var/lib/ucf/hashfile": hashes}
    assert kind_of(tmp_path, tree, "/etc/a.conf") == "generated"
    assert kind_of(tmp_path, tree, "/etc/b.conf") == "user"


def test_precedence_and_directories(tmp_path: Path) -> None:
    tree: Tree = {
        **debian({"/opt/tool/lib/a.py": "a"}),
        "/opt/tool/lib/__pycache__/a.cpython-311.pyc": "",
        "/opt/tool/own/user.py": "",
        f"{SITE}/pkg/__init__.py": "",
        f"{SITE}/pkg-1.dist-info/RECORD": "pkg/__init__.py,,\npkg-1.dist-info/RECORD,,\n",
        "/home/app": Dir(0o700, 1000, 1000),
        "/home/app/.cache/pip/x": "",
        "/etc/passwd": PASSWD,
    }
    claims = [
        Claim("/opt/tool", Origin(OriginKind.RUNTIME, "outer")),
        Claim("/opt/tool/lib", Origin(OriginKind.SOURCE, "inner")),
        Claim("/opt/tool/own", Origin(OriginKind.USER, "own"), Scope.PATH),
    ]
    origin = classify(make_world(tmp_path, tree), claims)
    assert origin("/opt/tool/lib/a.py").kind is OriginKind.PACKAGE
    assert origin("/opt/tool/lib/__pycache__/a.cpython-311.pyc").unit == "inner"
    assert origin("/opt/tool/own/user.py").unit == "outer"
    assert origin("/opt/tool/own").unit == "own"
    assert origin(f"{SITE}/pkg") == Origin(OriginKind.DISTRIBUTION, "pypi:pkg")
    assert origin("/home/app").kind is OriginKind.USER


def test_bytecode_of_a_packages_sources(tmp_path: Path) -> None:
    tree = {**debian({"/usr/lib/a.py": ""}), "/usr/lib/__pycache__/a.cpython-311.opt-1.pyc": ""}
    origin = classify(make_world(tmp_path, tree), ())
    assert origin("/usr/lib/__pycache__/a.cpython-311.opt-1.pyc").kind is OriginKind.GENERATED
    assert origin("/usr/lib/__pycache__").kind is OriginKind.GENERATED


CARGO: Tree = {
    "/app/target/.rustc_info.json": "",
    "/app/target/release/app": File("", mode=0o755),
    "/app/target/release/worker": File("", mode=0o755),
    "/app/target/site/app.wasm": "",
    "/usr/local/bin/app": File("", mode=0o755),
    "/usr/local/bin/linked": Link("/app/target/release/app"),
    "/start.sh": File("#!/bin/sh\nexec ./target/release/app\n", mode=0o755),
}


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("/usr/local/bin/app", "cache"),
        ("target/release/app", "user"),
        ("linked", "user"),
        ("/start.sh", "user"),
    ],
)
def test_what_cargo_built_is_left_where_nothing_of_it_is_started(
    tmp_path: Path, command: str, kind: str
) -> None:
    config = ImageConfig(cmd=(command,), working_dir="/app")
    assert kind_of(tmp_path, CARGO, "/app/target/release/worker", config) == kind
    assert kind_of(tmp_path, CARGO, "/app/target/site/app.wasm", config) == "user"
