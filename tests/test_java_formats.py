"""The formats of Java: class files, images of modules, manifests, command lines, homes."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.runtimes.java.archives import parse_manifest
from imgslim.runtimes.java.bytecode import read_methods
from imgslim.runtimes.java.classfile import (
    absolute_paths,
    read_strings,
    required_modules,
    system_classes,
)
from imgslim.runtimes.java.homes import find_homes
from imgslim.runtimes.java.jimage import read_modules
from imgslim.runtimes.java.launch import parse_launch
from tests.javas import class_file, java_home, jimage, module_info
from tests.worlds import Link, Member, make_world


def test_strings_of_a_class_file() -> None:
    data = class_file(classes=["java/util/List", "x/Y"], strings=["hello", "ümlaut"])
    assert read_strings(data) == ("hello", "ümlaut")


@pytest.mark.parametrize("cut", [0, 4, 9, 12, 30])
def test_a_damaged_class_file_says_nothing(cut: int) -> None:
    data = class_file(classes=["java/util/List"], strings=["hello"])
    assert read_strings(data[:cut]) == ()
    assert read_methods(data[:cut]) == ()


def test_classes_are_named_in_both_forms_and_properties_are_none() -> None:
    data = class_file(
        classes=["[Ljava/awt/Font;", "x/java/y"], strings=["javax.print.Doc", "java.awt.headless"]
    )
    assert set(system_classes(data)) == {"java/awt/Font", "javax/print/Doc"}


def test_methods_of_a_class_file() -> None:
    methods = {"a": (["one", "two"], [("x/Y", "b")]), "b": ([], [])}
    (first, second) = read_methods(class_file(methods=methods, this="x/Z"))
    assert (first.owner, first.name, first.strings) == ("x/Z", "a", ("one", "two"))
    assert first.calls == {("x/Y", "b")}
    assert (second.name, second.strings, second.calls) == ("b", (), frozenset())


def test_paths_end_where_their_constant_ends() -> None:
    data = class_file(strings=["/etc/hosts", "/etc", "/Users/x", "a/b/c"])
    assert list(absolute_paths(data)) == ["/etc/hosts"]


def test_modules_that_are_required_to_compile_only_do_not_count() -> None:
    data = module_info("a", ["java.base", "java.desktop"], static=["java.desktop"])
    assert required_modules(data) == ("java.base",)
    with pytest.raises(ValueError, match="damaged"):
        required_modules(data[:20])


def test_a_module_image_is_read_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    data = jimage({"a": (["p/q"], ["b"]), "b": (["r"], [])})
    tree = {"/whole": data, "/cut": data[:60], "/other": b"PK" + data, "/huge": data[:24]}
    rootfs = make_world(tmp_path, tree).rootfs
    modules = read_modules(rootfs, rootfs.entries["/whole"])
    assert modules is not None
    assert modules.packages == {"p/q": "a", "r": "b"}
    assert modules.closure({"a", "unknown"}) == {"a", "b"}
    assert modules.sizes_bytes["b"] > 1000
    for path in ("/cut", "/other", "/huge"):
        assert read_modules(rootfs, rootfs.entries[path]) is None


def test_a_manifest_has_continued_lines() -> None:
    text = b"Manifest-Version: 1.0\r\nClass-Path: one.jar t\r\n wo.jar\r\n\r\nName: x\r\nY: z\r\n"
    assert parse_manifest(text) == {"Manifest-Version": "1.0", "Class-Path": "one.jar two.jar"}


FILES = {
    "a.args": "-cp 'x y:z' # comment\n-Dk=\"a\\\\b\"\n",
    "main.args": "x.Main @b.args",
    "value.args": "-cp",
}


@pytest.mark.parametrize(
    ("words", "main", "jar", "class_path"),
    [
        (["-cp", "a:b", "x.Main", "-cp", "c"], "x.Main", "", ("a", "b")),
        (["-cp", "a", "-classpath", "b", "x.Main"], "x.Main", "", ("b",)),
        (["-ea", "-jar", "x.jar", "-jar", "y.jar"], "", "x.jar", ()),
        (["@a.args", "x.Main", "@a.args"], "x.Main", "", ("x y", "z")),
        (["--module-path", "mods", "-m", "m/x.Main"], "m/x.Main", "", ()),
        (["--add-opens", "a/b=c", "--module=m"], "m", "", ()),
        (["@value.args", "a.jar", "x.Main"], "x.Main", "", ("a.jar",)),
        (["-version"], "", "", ()),
        (["-cp"], "", "", ()),
    ],
)
def test_command_lines(words: list[str], main: str, jar: str, class_path: tuple[str, ...]) -> None:
    launch = parse_launch(["java", *words], (), FILES.get)
    assert (launch.main, launch.jar, launch.class_path) == (main, jar, class_path)


def test_an_argument_file_may_name_the_main_class() -> None:
    launch = parse_launch(["java", "@main.args", "@a.args"], (), FILES.get)
    assert launch.main == "x.Main"


def test_agents_and_library_paths_of_variables_count() -> None:
    variables = ("-javaagent:/a.jar=x=y", "-Djava.library.path=/l:/m")
    launch = parse_launch(["java", "-agentpath:/b.so", "Main"], variables, FILES.get)
    assert launch.agents == ("/a.jar", "/b.so")
    assert launch.library_path == ("/l", "/m")


def test_homes_of_every_layout_are_found(tmp_path: Path) -> None:
    old: dict[str, Member] = {
        "/usr/jdk8/bin/java": "",
        "/usr/jdk8/jre/bin/java": "",
        "/usr/jdk8/jre/lib/rt.jar": "",
        "/usr/jdk8/jre/lib/amd64/server/libjvm.so": "",
        "/usr/jre8/bin/java": "",
        "/usr/jre8/lib/rt.jar": "",
        "/usr/jre8/lib/amd64/server/libjvm.so": "",
        "/srv/python/lib/modules": "",
        "/opt/link": Link("java"),
    }
    homes = find_homes(make_world(tmp_path, {**java_home(), **old}).rootfs)
    assert {home.path for home in homes} == {"/opt/java", "/usr/jdk8", "/usr/jre8"}
    assert next(home for home in homes if home.modules_path).version == "17.0.9"
