"""Installed Python distributions, in all the forms in which installers record them."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.model import Distribution, EntryPoint
from tests.worlds import Link, Tree, make_world

SITE = "/usr/local/lib/python3.11/site-packages"
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}\n\nName: not-a-header\n"


def read(tmp_path: Path, tree: Tree) -> dict[str, Distribution]:
    return {d.name: d for d in make_world(tmp_path, tree).packages.distributions}


def wheel(name: str, record: str, more: str = "", site: str = SITE) -> dict[str, str]:
    info = f"{site}/{name}-1.0.dist-info"
    return {
        f"{info}/METADATA": METADATA.format(name=name, more=more),
        f"{info}/RECORD": record + f"{name}-1.0.dist-info/METADATA,,\n",
    }


def test_wheel_owns_what_record_lists_also_outside_of_the_site(tmp_path: Path) -> None:
    tree: Tree = {
        **wheel(
            "My.Pkg_x", 'mypkg/__init__.py,sha256=x,1\n"a,b.py",,\n../../../bin/cmd,,\ngone.py,,\n'
        ),
        f"{SITE}/mypkg/__init__.py": "",
        f"{SITE}/a,b.py": "",
        "/usr/local/bin/cmd": "#!python",
        f"{SITE}/My.Pkg_x-1.0.dist-info/entry_points.txt": (
            "[console_scripts]\ncmd = mypkg:main [extra]\n# no\n\n[my.plugins]\nx=mypkg.p\n"
        ),
    }
    found = read(tmp_path, tree)["my-pkg-x"]
    assert {"/usr/local/bin/cmd", f"{SITE}/a,b.py", f"{SITE}/mypkg/__init__.py"} < set(found.files)
    assert f"{SITE}/gone.py" not in found.files
    assert found.entry_points == (
        EntryPoint("console_scripts", "cmd", "mypkg:main"),
        EntryPoint("my.plugins", "x", "mypkg.p"),
    )
    assert "mypkg" in found.top_level


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("Foo_Bar (>=1.0)", ("foo-bar",)),
        ("foo[extra]>=1; python_version >= '3.8'", ("foo",)),
        ("tomli; python_version < '3.11'", ()),
        ("foo; extra == 'dev'", ()),
        ("foo; python_version >= '3.8' and extra == 'dev'", ()),
        ("pywin32; sys_platform == 'win32'", ()),
        (
            "uvloop; sys_platform != 'win32' and platform_python_implementation == 'CPython'",
            ("uvloop",),
        ),
        ("foo; nonsense ===", ("foo",)),
        ("", ()),
        ("@@@", ()),
    ],
)
def test_requirements_hold_for_the_python_of_the_image(
    tmp_path: Path, requirement: str, expected: tuple[str, ...]
) -> None:
    tree = wheel("app", "", f"Requires-Dist: {requirement}")
    assert read(tmp_path, tree)["app"].requires == expected


def test_the_version_of_debians_dist_packages_is_that_of_its_interpreter(tmp_path: Path) -> None:
    site = "/usr/lib/python3/dist-packages"
    for version, expected in (("3.9", ("tomli",)), ("3.12", ())):
        tree = wheel("app", "", "Requires-Dist: tomli; python_version < '3.11'", site)
        link: Tree = {"/usr/bin/python3": Link(f"python{version}"), f"/usr/bin/python{version}": ""}
        assert read(tmp_path, {**tree, **link})["app"].requires == expected


LEGACY: list[tuple[str, Tree, set[str]]] = [
    (
        "installed-files.txt",
        {
            f"{SITE}/old-1.0.egg-info/PKG-INFO": METADATA.format(name="old", more=""),
            f"{SITE}/old-1.0.egg-info/installed-files.txt": (
                "../old/a.py\n../../../../bin/old\nPKG-INFO\n"
            ),
            f"{SITE}/old/a.py": "",
            "/usr/local/bin/old": "",
        },
        {f"{SITE}/old/a.py", "/usr/local/bin/old", f"{SITE}/old-1.0.egg-info/PKG-INFO"},
    ),
    (
        "top_level.txt",
        {
            f"{SITE}/old-1.0-py3.11.egg-info/PKG-INFO": METADATA.format(name="old", more=""),
            f"{SITE}/old-1.0-py3.11.egg-info/top_level.txt": "older\n_fast\n",
            f"{SITE}/older/data/x.json": "",
            f"{SITE}/_fast.cpython-311-x86_64-linux-gnu.so": "",
            f"{SITE}/other.py": "",
        },
        {f"{SITE}/older/data/x.json", f"{SITE}/_fast.cpython-311-x86_64-linux-gnu.so"},
    ),
    (
        "a single file",
        {
            f"{SITE}/old-1.0-py3.11.egg-info": METADATA.format(name="old", more=""),
            f"{SITE}/old.py": "",
            f"{SITE}/other.py": "",
        },
        {f"{SITE}/old.py", f"{SITE}/old-1.0-py3.11.egg-info"},
    ),
    (
        "an unpacked egg",
        {
            f"{SITE}/old-1.0-py3.11.egg/EGG-INFO/PKG-INFO": METADATA.format(name="old", more=""),
            f"{SITE}/old-1.0-py3.11.egg/old/a.py": "",
        },
        {f"{SITE}/old-1.0-py3.11.egg/old/a.py"},
    ),
    ("a zipped egg", {f"{SITE}/old-1.0-py3.11.egg": "PK"}, {f"{SITE}/old-1.0-py3.11.egg"}),
]


@pytest.mark.parametrize(("tree", "files"), [c[1:] for c in LEGACY], ids=[c[0] for c in LEGACY])
def test_older_formats(tmp_path: Path, tree: Tree, files: set[str]) -> None:
    found = read(tmp_path, tree)["old"]
    assert found.version == "1.0"
    assert files <= set(found.files)
    assert f"{SITE}/other.py" not in found.files


def test_requirements_of_an_egg_leave_extras_out(tmp_path: Path) -> None:
    info = f"{SITE}/old-1.0.egg-info"
    requires = (
        "Base>=1\n\n[:python_version < '3']\nfutures\n\n"
        "[:python_version > '3']\nNew\n\n[dev]\ntox\n"
    )
    tree = {
        f"{info}/PKG-INFO": METADATA.format(name="old", more=""),
        f"{info}/requires.txt": requires,
    }
    assert read(tmp_path, tree)["old"].requires == ("base", "new")


def test_a_system_package_owns_its_distribution(tmp_path: Path) -> None:
    site = "/usr/lib/python3/dist-packages"
    listed = [
        f"{site}/yaml/__init__.py",
        f"{site}/PyYAML-6.0.egg-info/PKG-INFO",
        "/usr/bin/y",
        "/usr/share/doc/python3-yaml/copyright",
    ]
    tree = {
        **dict.fromkeys(listed, METADATA.format(name="PyYAML", more="")),
        "/var/lib/dpkg/status": "Package: python3-yaml\nStatus: install ok installed\n",
        "/var/lib/dpkg/info/python3-yaml.list": "\n".join(listed),
    }
    assert set(read(tmp_path, tree)["pyyaml"].files) == set(listed[:3])


def test_a_projects_own_egg_info_does_not_own_the_users_sources(tmp_path: Path) -> None:
    world = make_world(
        tmp_path,
        {
            "/app/proj.egg-info/PKG-INFO": METADATA.format(
                name="proj", more="Requires-Dist: flask"
            ),
            "/app/proj.egg-info/top_level.txt": "proj\n",
            "/app/proj.egg-info/SOURCES.txt": "setup.py\nproj/__init__.py\n",
            "/app/proj/__init__.py": "",
            f"{SITE}/proj.egg-link": "/app\n.",
        },
    )
    (found,) = world.packages.distributions
    assert (found.requires, found.top_level) == (("flask",), ("proj",))
    assert world.packages.distribution_owner("/app/proj/__init__.py") is None


def test_vendored_metadata_is_no_installation(tmp_path: Path) -> None:
    vendored = wheel("zipp", "", site=f"{SITE}/tools/_vendor")
    record = "tools/_vendor/zipp-1.0.dist-info/METADATA,,\n"
    assert set(read(tmp_path, {**wheel("tools", record), **vendored})) == {"tools"}


@pytest.mark.parametrize(
    "tree",
    [
        {f"{SITE}/x-1.0.dist-info/METADATA": b"\xff\xfe\x00"},
        {f"{SITE}/x-1.0.dist-info/RECORD": '"unclosed,,\n\x00'},
        {f"{SITE}/x-1.0.dist-info/METADATA": ""},
        {f"{SITE}/x-1.0.egg-info": b"\x80"},
        {f"{SITE}/x-1.0.dist-info/entry_points.txt": "[[\n=\n]"},
    ],
)
def test_damaged_metadata_is_no_error(tmp_path: Path, tree: Tree) -> None:
    assert read(tmp_path, tree)["x"].version == "1.0"
