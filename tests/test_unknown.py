"""A stack that no module knows: what extends the program, a shell, and what its sources name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import ImageConfig, Plan
from imgslim.pipeline import derive_plan
from imgslim.world import World
from tests.elves import elf
from tests.worlds import File, Link, Tree, make_world

SCRIPT = File("puts `frobnicate 'x'`\nsystem \"gcc\"\n# mentions compact in a comment\n")


def package(name: str, section: str, files: Iterable[str], depends: str = "") -> tuple[str, Tree]:
    """A stanza of dpkg's status, and the package's own files with their list."""
    stanza = (
        f"Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n"
        f"Section: {section}\nDepends: {depends}\n"
    )
    tree: dict[str, object] = {
        path: File(elf() if "/bin/" in path else "data", mode=0o755) for path in files
    }
    tree[f"/var/lib/dpkg/info/{name}.list"] = "\n".join(files) + "\n"
    return stanza, tree  # type: ignore[return-value]


def image_tree(*packages: tuple[str, Tree], automatic: Iterable[str] = ()) -> Tree:
    tree: dict[str, object] = {
        "/bin": Link("usr/bin"),
        "/var/lib/dpkg/status": "\n".join(stanza for stanza, _ in packages),
        "/var/lib/apt/extended_states": "\n\n".join(
            f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1" for name in automatic
        ),
        "/app/main.rb": SCRIPT,
    }
    for _, files in packages:
        tree.update(files)
    return tree  # type: ignore[return-value]


PACKAGES = (
    package("dash", "shells", ["/usr/bin/sh"]),
    package("ruby9", "lisp", ["/usr/bin/ruby", "/usr/lib/ruby/core.rb"]),
    package("ruby-web", "lisp", ["/usr/lib/ruby/web.rb"], "ruby-rack"),
    package("ruby-rack", "lisp", ["/usr/lib/ruby/rack.rb"], "ruby9"),
    package("puma", "web", ["/usr/lib/ruby/puma.rb"], "ruby9"),
    package("by-the-way", "web", ["/usr/lib/ruby/dependency.rb"], "ruby9"),
    package("ruby-tool-builder", "devel", ["/usr/lib/ruby/builder.rb"], "ruby9"),
    package("frobnicator", "utils", ["/usr/bin/frobnicate"]),
    package("compacter", "utils", ["/usr/bin/compact"]),
    package("gcc", "devel", ["/usr/bin/gcc"]),
    package("liberror-perl", "perl", ["/usr/share/perl5/Error.pm"]),
)


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    world: World = make_world(
        tmp_path,
        image_tree(*PACKAGES, automatic=["by-the-way", "compacter", "gcc", "ruby-rack"]),
        config=ImageConfig(cmd=("ruby", "/app/main.rb")),
    )
    yield derive_plan(world)
    world.rootfs.close()


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/usr/lib/ruby/core.rb", True),
        ("/usr/lib/ruby/web.rb", True),
        ("/usr/lib/ruby/puma.rb", True),
        ("/usr/lib/ruby/dependency.rb", False),
        ("/usr/lib/ruby/builder.rb", False),
        ("/usr/share/perl5/Error.pm", False),
        ("/usr/bin/sh", True),
        ("/usr/bin/frobnicate", True),
        ("/usr/bin/gcc", False),
        ("/usr/bin/compact", False),
    ],
)
def test_what_is_kept_for_a_program_that_no_module_knows(plan: Plan, path: str, kept: bool) -> None:
    assert (path in {keep.entry.path for keep in plan.keeps}) is kept


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("main.scm", r"""(eval-string "(system \"frobnicate -a\")")"""),
        ("main.scm", """(map car '(1 2)) (system "frobnicate -a") '(3)"""),
        ("main.ts", "await $`frobnicate --version`"),
        ("main.js", """Deno.Command("frobnicate", {})"""),
        ("main.clj", """(sh "frobnicate" 'x)"""),
        ("main.lua", "os.execute([[frobnicate -a]])"),
        ("main.lua", r"""os.execute('echo \'a\' | frobnicate')"""),
    ],
)
def test_a_program_in_a_string_of_a_language_that_no_module_knows(
    tmp_path: Path, name: str, source: str
) -> None:
    tree = {**image_tree(*PACKAGES), "/app/main.rb": "", f"/app/{name}": source}
    world = make_world(tmp_path, tree, config=ImageConfig(cmd=("ruby", f"/app/{name}")))
    plan = derive_plan(world)
    assert "/usr/bin/frobnicate" in {keep.entry.path for keep in plan.keeps}


def test_a_program_that_was_installed_by_name_and_is_called_like_a_function(tmp_path: Path) -> None:
    tree = image_tree(*PACKAGES, automatic=["compacter"])
    source = {"/app/main.rb": "", "/app/main.m": "frobnicate('a.zip', f); compact(a); gcc(b)"}
    world = make_world(tmp_path, {**tree, **source}, config=ImageConfig(cmd=("ruby", "main.m")))
    kept = {keep.entry.path for keep in derive_plan(world).keeps}
    assert "/usr/bin/frobnicate" in kept
    assert kept.isdisjoint({"/usr/bin/compact", "/usr/bin/gcc"})


@pytest.mark.parametrize(("automatic", "kept"), [((), True), (("gcc",), False)])
def test_a_tool_that_builds_is_meant_where_somebody_asked_for_it(
    tmp_path: Path, automatic: tuple[str, ...], kept: bool
) -> None:
    tree = image_tree(*PACKAGES, automatic=["by-the-way", *automatic])
    source = {"/app/main.rb": "", "/app/main.ts": "Bun.spawn(['gcc', '-v'])"}
    world = make_world(tmp_path, {**tree, **source}, config=ImageConfig(cmd=("ruby", "main.ts")))
    assert ("/usr/bin/gcc" in {keep.entry.path for keep in derive_plan(world).keeps}) is kept


def test_the_lower_level_of_trust_and_the_guess_are_said(plan: Plan) -> None:
    said = {problem.code: problem for problem in plan.problems}
    assert "/usr/bin/ruby" in said["no-module"].message
    assert "trust is lower" in said["no-module"].message
    assert "frobnicate" in said["programs-by-name"].message


@pytest.mark.parametrize(
    "tree",
    [
        {"/bin/sh": File("echo no shebang\n", mode=0o755)},
        {
            "/bin/sh": File("#!/bin/loop\n", mode=0o755),
            "/bin/loop": File("#!/bin/sh\n", mode=0o755),
        },
        {"/bin/sh": File("#!/bin/sh\n", mode=0o755)},
        {"/bin/sh": File(elf(), mode=0o755), "/run": File('exec /run "$@" x\n', mode=0o755)},
    ],
)
def test_a_shell_that_starts_itself_ends(tmp_path: Path, tree: Tree) -> None:
    command = ("/run",) if "/run" in tree else ("sh",)
    world = make_world(tmp_path, tree, config=ImageConfig(cmd=command))
    assert derive_plan(world).keeps
    world.rootfs.close()


def test_a_servers_module_brings_the_libraries_of_its_language(tmp_path: Path) -> None:
    packages = (
        package("dash", "shells", ["/usr/bin/sh"]),
        package("httpd", "httpd", ["/usr/sbin/httpd"]),
        package("httpd-mod-php", "php", ["/usr/lib/httpd/mod_php.so"], "httpd"),
        package("php-mbstring", "php", ["/usr/lib/php/mbstring.so"], "php-common"),
        package("php-common", "php", ["/usr/lib/php/common.ini"]),
        package("liberror-perl", "perl", ["/usr/share/perl5/Error.pm"]),
    )
    tree = {**image_tree(*packages), "/usr/sbin/httpd": File(elf(), mode=0o755)}
    world = make_world(tmp_path, tree, config=ImageConfig(cmd=("httpd",)))
    kept = {keep.entry.path for keep in derive_plan(world).keeps}
    assert "/usr/lib/php/mbstring.so" in kept
    assert "/usr/share/perl5/Error.pm" not in kept
    world.rootfs.close()


def test_libraries_of_an_interpreter_that_depend_on_no_version_of_it(tmp_path: Path) -> None:
    lib = "/usr/lib/x86_64-linux-gnu"
    packages = (
        package("dash", "shells", ["/usr/bin/sh"]),
        package("lua5.4", "interpreters", ["/usr/bin/lua5.4"]),
        package("lua-socket", "interpreters", [f"{lib}/lua/5.4/core.so", "/usr/share/lua/s.lua"]),
        package("tcl", "interpreters", ["/usr/share/tcl/init.tcl"]),
    )
    world = make_world(tmp_path, image_tree(*packages), config=ImageConfig(cmd=("lua5.4",)))
    kept = {keep.entry.path for keep in derive_plan(world).keeps}
    assert {f"{lib}/lua/5.4/core.so", "/usr/share/lua/s.lua"} <= kept
    assert "/usr/share/tcl/init.tcl" not in kept


FONT = "/usr/share/fonts/lights.ttf"
NATIVE = (
    package("dash", "shells", ["/usr/bin/sh"]),
    package("fonts-lights", "fonts", [FONT, "/usr/share/fonts/li"]),
    package("plotter", "utils", ["/usr/bin/plot"]),
    package("other", "utils", ["/usr/bin/other", "/usr/share/other/table"]),
)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize(
    ("constants", "source", "kept"),
    [
        (b"\1no such page/usr/share/fonts/lights.ttfin meters", "", {FONT}),
        (b"\1/usr/share/fonts/lights.ttf/usr/bin/plot--terse", "", {FONT, "/usr/bin/plot"}),
        (b"\1/bin/plot\0", "", {"/usr/bin/plot"}),
        (b"\1/usr/share/fonts/literal", "", set()),
        (b"\1/var/log/usr/share/other", "", set()),
        (b"", 'Command::new("plot").arg("-x")', {"/usr/bin/plot"}),
        (b"", f'const FONT: &str = "{FONT}";', {FONT}),
        (b"", f"// reads {FONT}, as other does", set()),
        (b"", "/// Not `plot`, nor 'plot'.", set()),
    ],
)
def test_what_a_native_program_of_ones_own_names(
    tmp_path: Path, constants: bytes, source: str, kept: set[str], level: Level
) -> None:
    tree = {
        **image_tree(*NATIVE),
        "/app/serve": File(elf(data=constants), mode=0o755),
        "/app/src/main.rs": source,
        "/app/main.rb": "",
    }
    config = ImageConfig(cmd=("/app/serve",))
    world = make_world(tmp_path, tree, config=config, choices=Choices(level))
    found = {keep.entry.path for keep in derive_plan(world).keeps}
    named = {FONT, "/usr/bin/plot", "/usr/bin/other", "/usr/share/other/table"}
    assert found & named == kept
    world.rootfs.close()


CODERS = "/usr/lib/x86_64-linux-gnu/Painter-6/coders"
PAINTER = (
    package("dash", "shells", ["/usr/bin/sh"]),
    package("painter", "graphics", ["/usr/bin/paint"], "libpainter"),
    package("libpainter", "libs", [f"{CODERS}/png.so", f"{CODERS[:-7]}/libpaint.so.6"]),
    package("libpainter-extra", "libs", [f"{CODERS}/svg.so"], "libpainter, libvector"),
    package("libvector", "libs", ["/usr/lib/x86_64-linux-gnu/libvector.so.2"]),
    package("libpainter-dev", "libdevel", [f"{CODERS}/trace.so"], "libpainter"),
    package("other-viewer", "graphics", ["/usr/lib/viewer/view.so", "/usr/bin/view"], "libpainter"),
    package("no-relation", "libs", [f"{CODERS}/odd.so"]),
)


def test_plug_ins_of_another_package_stay_beside_a_librarys_own(tmp_path: Path) -> None:
    config = ImageConfig(entrypoint=("paint",))
    world = make_world(tmp_path, image_tree(*PAINTER), config=config)
    kept = {keep.entry.path for keep in derive_plan(world).keeps}
    mine = {f"{CODERS}/{name}.so" for name in ("png", "svg", "trace", "odd")}
    assert kept & mine == {f"{CODERS}/png.so", f"{CODERS}/svg.so"}
    assert "/usr/lib/x86_64-linux-gnu/libvector.so.2" in kept
    assert "/usr/bin/view" not in kept
    world.rootfs.close()
