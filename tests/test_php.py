"""PHP: what its settings, composer's packages and sources need, in the layouts that there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import ImageConfig, OriginKind, Plan
from imgslim.pipeline import derive_plan
from imgslim.runtimes.php.composer import without_packages
from imgslim.runtimes.php.settings import Setting, read_settings
from imgslim.runtimes.php.source import only_defines, read_source
from tests.elves import elf
from tests.scripts import kept
from tests.worlds import File, Tree, make_world

OFFICIAL = "/usr/local/etc/php"
MODULES = "/usr/local/lib/php/extensions/no-debug-non-zts-20220829"


def php(*strings: str) -> File:
    """A program of PHP with what is built into it."""
    texts = (
        "X-Powered-By: PHP/8.2.9",
        ".:/usr/local/lib/php",
        OFFICIAL,
        f"{OFFICIAL}/conf.d",
        MODULES,
        *strings,
    )
    return File(elf(static=True, data=b"\0".join(map(str.encode, ("", *texts, "")))), mode=0o755)


def module() -> File:
    return File(elf(), mode=0o755)


def official() -> dict[str, Any]:
    """The layout of the official image, with one extension of its own and one that is enabled."""
    library = "/usr/local/lib/php"
    return {
        "/usr/local/bin/php": php(),
        "/usr/local/sbin/php-fpm": php(),
        "/usr/local/bin/php-cgi": php(),
        "/usr/local/bin/phpdbg": php(),
        "/usr/local/bin/phpize": File("#!/bin/sh\n", mode=0o755),
        "/usr/local/bin/docker-php-ext-install": File("#!/bin/sh\n", mode=0o755),
        "/usr/local/bin/docker-php-entrypoint": File('#!/bin/sh\nexec "$@"\n', mode=0o755),
        "/usr/local/bin/composer": File("#!/usr/bin/env php\n<?php", mode=0o755),
        "/usr/local/include/php/main/php.h": "x",
        "/usr/src/php.tar.xz": "x",
        f"{library}/build/Makefile.global": "x",
        f"{library}/PEAR.php": "<?php",
        f"{library}/.registry/pear.reg": "x",
        f"{library}/doc/x": "x",
        f"{MODULES}/opcache.so": module(),
        f"{MODULES}/pdo_mysql.so": module(),
        f"{MODULES}/sodium.so": module(),
        f"{OFFICIAL}/php.ini-production": "x",
        f"{OFFICIAL}/conf.d/docker-php-ext-sodium.ini": "extension=sodium\n",
        f"{OFFICIAL}/conf.d/docker-php-ext-opcache.ini": "zend_extension=opcache\n",
        "/usr/local/etc/php-fpm.conf": "[global]\ninclude=etc/php-fpm.d/*.conf\n",
        "/usr/local/etc/php-fpm.conf.default": "x",
        "/usr/local/etc/php-fpm.d/www.conf": "[www]\nuser = www-data\nlisten = 9000\n",
        "/bin/sh": File(elf(static=True), mode=0o755),
        "/usr/bin/env": File(elf(static=True), mode=0o755),
    }


def planned(
    tmp_path: Path, command: str, tree: Tree, level: Level = Level.BALANCED, **config: Any
) -> Plan:
    image = ImageConfig(cmd=tuple(command.split()), **config)
    return derive_plan(make_world(tmp_path, tree, config=image, choices=Choices(level=level)))


def codes(plan: Plan) -> set[str]:
    return {problem.code for problem in plan.problems} - {"no-shell"}


def test_the_official_layout_without_what_builds_it(tmp_path: Path) -> None:
    plan = planned(tmp_path, "docker-php-entrypoint php-fpm", official())
    found = kept(plan)
    assert {
        "/usr/local/sbin/php-fpm",
        f"{MODULES}/opcache.so",
        f"{MODULES}/sodium.so",
        f"{OFFICIAL}/conf.d/docker-php-ext-sodium.ini",
        "/usr/local/etc/php-fpm.conf",
        "/usr/local/etc/php-fpm.d/www.conf",
    } <= found
    assert not {path for path in found if path.startswith(("/usr/src", "/usr/local/include"))}
    left = ("bin/php", "bin/php-cgi", "bin/phpdbg", "bin/phpize", "bin/composer")
    left += ("bin/docker-php-ext-install", "lib/php/PEAR.php", "lib/php/build/Makefile.global")
    left += ("etc/php/php.ini-production", "etc/php-fpm.conf.default", "lib/php/.registry/pear.reg")
    assert not {f"/usr/local/{path}" for path in left} & found
    assert f"{MODULES}/pdo_mysql.so" not in found
    said = [p for p in plan.problems if p.code == "left-out-by-level"]
    assert "/usr/local/bin/php" in said[0].message


def test_a_script_of_the_apps_own_brings_the_command_line(tmp_path: Path) -> None:
    tree = {**official(), "/srv/artisan": File("#!/usr/bin/env php\n<?php\n", mode=0o755)}
    assert "/usr/local/bin/php" in kept(planned(tmp_path, "php-fpm", tree))


@pytest.mark.parametrize(
    ("path", "text", "wanted"),
    [
        (
            f"{OFFICIAL}/php.ini",
            "extension = pdo_mysql.so ; a comment\n",
            f"{MODULES}/pdo_mysql.so",
        ),
        (f"{OFFICIAL}/php.ini", f'extension="{MODULES}/pdo_mysql.so"', f"{MODULES}/pdo_mysql.so"),
        (f"{OFFICIAL}/conf.d/x.ini", "extension_dir=/opt/e\nextension=own", "/opt/e/own.so"),
        (f"{OFFICIAL}/conf.d/x.ini", "extension_dir=${WHERE}\nextension=own", "/opt/e/own.so"),
        (f"{OFFICIAL}/conf.d/x.ini", "sendmail_path = /opt/send -t", "/opt/send"),
        (
            "/usr/local/etc/php-fpm.d/x.conf",
            "[x]\nphp_value[extension]=pdo_mysql",
            f"{MODULES}/pdo_mysql.so",
        ),
        ("/usr/local/etc/php-fpm.d/x.conf", "[x]\naccess.log = /opt/logs/a.log", "/opt/logs"),
        ("/usr/local/etc/php-fpm.d/x.conf", "[x]\nuser = www", "/etc/passwd"),
    ],
)
def test_what_settings_name_is_kept(tmp_path: Path, path: str, text: str, wanted: str) -> None:
    more = {"/opt/e/own.so": module(), "/opt/send": File(elf(static=True), mode=0o755)}
    more["/etc/passwd"] = File("root:x:0:0::/:/bin/sh\n")
    tree = {**official(), **more, "/opt/logs/old": "x", path: text}
    plan = planned(tmp_path, "php-fpm", tree, env=(("WHERE", "/opt/e"),))
    assert wanted in {keep.entry.path for keep in plan.keeps}


def test_a_scanned_directory_of_the_environment(tmp_path: Path) -> None:
    tree = {**official(), "/opt/ini/a.ini": "extension=pdo_mysql\n"}
    both = planned(tmp_path, "php x.php", tree, env=(("PHP_INI_SCAN_DIR", ":/opt/ini"),))
    assert {f"{MODULES}/pdo_mysql.so", f"{MODULES}/sodium.so"} <= kept(both)
    (tmp_path / "b").mkdir()
    one = planned(tmp_path / "b", "php x.php", tree, env=(("PHP_INI_SCAN_DIR", "/opt/ini"),))
    assert f"{MODULES}/pdo_mysql.so" in kept(one)
    assert f"{MODULES}/sodium.so" not in kept(one)


def test_settings_of_a_command_line(tmp_path: Path) -> None:
    plan = planned(tmp_path, "php -d extension=pdo_mysql -S 0.0.0.0:80", official())
    assert f"{MODULES}/pdo_mysql.so" in kept(plan)


def test_an_extension_that_is_not_there_is_said(tmp_path: Path) -> None:
    tree = {**official(), f"{OFFICIAL}/conf.d/x.ini": "extension=gone\n"}
    assert "missing-extension" in codes(planned(tmp_path, "php-fpm", tree))


def installed(*packages: dict[str, Any], dev: tuple[str, ...] = ()) -> str:
    rows = [{"version": "1.0", "install-path": f"../{p['name']}", **p} for p in packages]
    return json.dumps({"packages": rows, "dev": True, "dev-package-names": list(dev)})


def project(**sources: str) -> dict[str, Any]:
    """An app with a package of production that requires another, and two for development."""
    vendor = "/srv/vendor"
    rows = (
        {
            "name": "a/main",
            "require": {"a/inner": "*"},
            "autoload": {"psr-4": {"A\\Main\\": "src/"}},
        },
        {"name": "a/inner", "autoload": {"classmap": ["tests/"]}},
        {
            "name": "d/unit",
            "require": {"d/deep": "*"},
            "autoload": {"psr-4": {"D\\Unit\\": "src/"}},
        },
        {"name": "d/deep", "bin": ["deep"], "autoload": {"files": ["f.php"], "classmap": ["x/"]}},
    )
    return {
        **official(),
        "/srv/composer.json": json.dumps({"autoload-dev": {"psr-4": {"T\\": "tests/"}}}),
        f"{vendor}/autoload.php": "<?php",
        f"{vendor}/composer/installed.json": installed(*rows, dev=("d/unit", "d/deep")),
        f"{vendor}/composer/autoload_classmap.php": "<?php\n"
        "return array(\n    'Deep\\\\Thing' => $vendorDir . '/d/deep/x/Thing.php',\n);\n",
        f"{vendor}/a/main/src/M.php": "<?php",
        f"{vendor}/a/main/tests/MTest.php": "<?php",
        f"{vendor}/a/main/docs/x.md": "x",
        f"{vendor}/a/inner/tests/I.php": "<?php",
        f"{vendor}/d/unit/src/U.php": "<?php",
        f"{vendor}/d/deep/f.php": "<?php",
        f"{vendor}/d/deep/x/Thing.php": "<?php",
        f"{vendor}/d/deep/deep": File("#!/usr/bin/env php\n<?php", mode=0o755),
        f"{vendor}/bin/deep": File("#!/usr/bin/env php\n<?php", mode=0o755),
        "/srv/tests/X.php": "<?php use D\\Unit\\U;",
        **{f"/srv/{name}.php": text for name, text in sources.items()},
    }


def test_packages_for_development_are_left_out(tmp_path: Path) -> None:
    plan = planned(tmp_path, "php-fpm", project(index="<?php new A\\Main\\M();"))
    found = kept(plan)
    assert {"/srv/vendor/a/main/src/M.php", "/srv/vendor/a/inner/tests/I.php"} <= found
    # Every start loads it: autoload_files.php names it.
    assert "/srv/vendor/d/deep/f.php" in found
    left = ("a/main/tests/MTest.php", "a/main/docs/x.md", "d/unit/src/U.php", "d/deep/x/Thing.php")
    assert not {f"/srv/vendor/{path}" for path in (*left, "bin/deep")} & found
    listed = next(k for k in plan.keeps if k.entry.path.endswith("/installed.json")).content
    assert listed is not None
    assert [row["name"] for row in json.loads(listed)["packages"]] == ["a/main", "a/inner"]
    said = [problem.message for problem in plan.problems if problem.code == "left-out-by-level"]
    assert any("d/deep, d/unit" in message for message in said)


def test_what_every_start_loads_brings_its_package_where_it_needs_more(tmp_path: Path) -> None:
    tree = {**project(), "/srv/vendor/d/deep/f.php": "<?php require __DIR__ . '/x/Thing.php';"}
    assert "/srv/vendor/d/deep/x/Thing.php" in kept(planned(tmp_path, "php-fpm", tree))


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("<?php namespace A; use B\\C; function f(C $c) { new C(); } const X = 1;", True),
        ("<?php if (!function_exists('f')) { function f() {} }", True),
        ("<?php define('A', 1);", True),
        ("<?php namespace A { function f() {} }", True),
        ("<?php function f() {} class D extends E {}", False),
        ("<?php require __DIR__ . '/g.php';", False),
        ("<?php if (x()) { y(); }", False),
        ("<?php A::boot();", False),
        ("text", False),
    ],
)
def test_sources_that_only_define(source: str, answer: bool) -> None:
    assert only_defines(source.encode()) is answer


def test_safe_keeps_the_whole_runtime(tmp_path: Path) -> None:
    found = kept(planned(tmp_path, "php-fpm", official(), Level.SAFE))
    assert {"/usr/local/bin/php", f"{MODULES}/pdo_mysql.so", "/usr/local/lib/php/PEAR.php"} <= found
    assert not {"/usr/local/include/php/main/php.h", "/usr/src/php.tar.xz"} & found


def test_a_library_of_the_include_path(tmp_path: Path) -> None:
    tree = {**official(), "/srv/x.php": "<?php require_once('PEAR.php');"}
    assert "/usr/local/lib/php/PEAR.php" in kept(planned(tmp_path, "php-fpm", tree))


def test_safe_keeps_packages_for_development(tmp_path: Path) -> None:
    plan = planned(tmp_path, "php-fpm", project(), Level.SAFE)
    assert {"/srv/vendor/d/unit/src/U.php", "/srv/vendor/a/main/docs/x.md"} <= kept(plan)
    assert not any(
        keep.content for keep in plan.keeps if keep.entry.path.endswith("installed.json")
    )


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("<?php use D\\Unit\\U;", "d/unit/src/U.php"),
        ("<?php use D\\{Unit\\U, Other};", "d/unit/src/U.php"),
        ("<p><?= \\D\\Unit\\U::name() ?></p>", "d/unit/src/U.php"),
        ("<?php $class = 'D\\\\Unit\\\\U';", "d/unit/src/U.php"),
        ("<?php return [D\\Unit\\U::class => ['dev' => true]];", "d/unit/src/U.php"),
        ("<?php new \\Deep\\Thing();", "d/deep/x/Thing.php"),
        ("<?php require __DIR__ . '/vendor/d/deep/x/Thing.php';", ""),
    ],
)
def test_a_package_that_the_users_sources_name_is_kept(
    tmp_path: Path, source: str, package: str
) -> None:
    found = kept(planned(tmp_path, "php-fpm", project(index=source)))
    names = {"d/unit/src/U.php", "d/deep/x/Thing.php"}
    assert (f"/srv/vendor/{package}" in found) if package else True
    if package == "d/unit/src/U.php":  # with what it requires
        assert {f"/srv/vendor/{name}" for name in names} <= found


def test_a_copy_of_a_package_says_nothing_of_the_app(tmp_path: Path) -> None:
    more = {"/src/unit/composer.json": "{}", "/src/unit/U.php": "<?php use D\\Unit\\Other;"}
    found = kept(planned(tmp_path, "php-fpm", {**project(), **more}))
    assert "/srv/vendor/d/unit/src/U.php" not in found


def test_packages_are_not_the_users(tmp_path: Path) -> None:
    plan = planned(tmp_path, "php-fpm", project())
    origins = {drop.entry.path: drop.origin for drop in plan.drops}
    dropped = origins["/srv/vendor/d/unit/src/U.php"]
    assert (dropped.kind, dropped.unit) == (OriginKind.DISTRIBUTION, "composer:d/unit@1.0")


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("<?php shell_exec('tool --x');", True),
        ("<?php `tool`;", True),
        ("<?php \\proc_open(['tool', '-v'], [], $p);", True),
        ("<?php new Process(['tool']);", True),
        ("<?php $t = 'tool'; exec(\"$t -x\");", True),
        ("<?php echo 'tool';", False),
        ("<?php // exec tool", False),
    ],
)
def test_programs_that_sources_start(tmp_path: Path, source: str, wanted: bool) -> None:
    tool = {"/usr/bin/tool": File(elf(static=True), mode=0o755)}
    database = {
        "/var/lib/dpkg/status": "Package: tool\nStatus: install ok installed\nVersion: 1\n"
        "Architecture: all\n\n",
        "/var/lib/dpkg/info/tool.list": "/usr/bin/tool\n",
    }
    tree = {**official(), **tool, **database, "/srv/index.php": source}
    assert ("/usr/bin/tool" in kept(planned(tmp_path, "php-fpm", tree))) is wanted


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a = b ; c\n; d = e", [Setting("a", "b")]),
        ('A="b;c" ; d', [Setting("a", "b;c")]),
        ("[x]\nenv[P] = $Q\n", [Setting("env", "$Q", "P", "x")]),
        ("a = ${V}/b\nc = ${N:-d}", [Setting("a", "v/b"), Setting("c", "d")]),
        ("nonsense\n[\n=\n", []),
    ],
)
def test_settings_are_read(text: str, read: list[Setting]) -> None:
    assert list(read_settings(text, {"V": "v"})) == read


def test_a_list_of_composer_1() -> None:
    data = json.dumps([{"name": "a/b"}, {"name": "c/d"}]).encode()
    assert json.loads(without_packages(data, {"a/b"})) == [{"name": "c/d"}]


@pytest.mark.parametrize(
    "listed", ["", "[", "3", '{"packages": 3}', '{"packages": [3, {"name": 4}]}']
)
def test_a_broken_list_of_packages_breaks_nothing(tmp_path: Path, listed: str) -> None:
    tree = {**project(), "/srv/vendor/composer/installed.json": listed}
    assert "/usr/local/sbin/php-fpm" in kept(planned(tmp_path, "php-fpm", tree))


def test_what_is_no_php_gives_no_facts() -> None:
    facts = read_source(b"\xff\0<?php \xff ((((")
    assert (facts.includes, facts.commands, facts.starts) == (set(), set(), False)


def test_a_command_that_is_filled_in_is_only_a_part() -> None:
    source = b"<?php exec('a | b'); exec('c ' . $d); `e $f`; exec(\"g\");"
    found = read_source(source).commands
    assert found == {("a | b", True), ("c ", False), ("e ", False), ("g", True)}


def test_what_php_is_is_said(tmp_path: Path) -> None:
    tree = project()
    tree["/srv/composer.json"] = json.dumps({"name": "me/shop"})
    tree["/srv/vendor/composer/installed.json"] = installed(
        {"name": "slim/slim", "version": "4.1.0"}, {"name": "a/main"}
    )
    tree["/srv/vendor/slim/slim/x.php"] = "<?php"
    plan = planned(tmp_path, "php-fpm", tree)
    assert plan.programs[0].description == "PHP 8.2.9 FPM, app me/shop on Slim 4.1.0"


@pytest.mark.parametrize(
    ("program", "settings", "scanned", "modules", "pools"),
    [
        (
            "/usr/sbin/php-fpm83",
            "/etc/php83",
            "/etc/php83/conf.d",
            "/usr/lib/php83/modules",
            "/etc/php83",
        ),
        ("/usr/sbin/php-fpm", "/etc", "/etc/php.d", "/usr/lib64/php/modules", "/etc"),
        (
            "/usr/sbin/php-fpm8.2",
            "/etc/php/8.2/fpm",
            "/etc/php/8.2/fpm/conf.d",
            "/usr/lib/php/20220829",
            "/etc/php/8.2/fpm",
        ),
    ],
)
def test_layouts_of_distributions(
    tmp_path: Path, program: str, settings: str, scanned: str, modules: str, pools: str
) -> None:
    texts = ("X-Powered-By: PHP/8.3.1", settings, scanned, modules)
    binary = elf(static=True, data=b"\0".join(map(str.encode, ("", *texts, ""))))
    names = [program, f"{settings}/php.ini", f"{scanned}/20-x.ini", f"{modules}/x.so"]
    names += [f"{pools}/php-fpm.conf", f"{pools}/php-fpm.d/www.conf"]
    listed = "".join(f"{name}\n" for name in [*names, f"{modules}/y.so"])
    tree = {
        program: File(binary, mode=0o755),
        f"{settings}/php.ini": "x = y",
        f"{scanned}/20-x.ini": "extension=x.so",
        f"{modules}/x.so": module(),
        f"{modules}/y.so": module(),
        f"{pools}/php-fpm.conf": f"include={pools}/php-fpm.d/*.conf",
        f"{pools}/php-fpm.d/www.conf": "[www]",
        "/var/lib/dpkg/status": "Package: libphp-x\nStatus: install ok installed\nVersion: 1\n"
        "Architecture: all\nEssential: yes\n\n",
        "/var/lib/dpkg/info/libphp-x.list": listed,
    }
    plan = planned(tmp_path, program, tree)
    assert set(names) <= kept(plan)
    assert f"{modules}/y.so" not in kept(plan)
    assert plan.programs[0].description == "PHP 8.3.1 FPM"
