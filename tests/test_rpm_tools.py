"""rpm itself and a scanner on what is read of rpm's database, and on the slim one."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgslim.model import Package
from imgslim.pipeline import Analysis, analyze
from tests import engines
from tests.archives import Made, docker_archive
from tests.rpms import Rpm, RpmFile, rpm_database
from tests.slim_archives import Files, archived
from tests.test_scanner import syft_path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        shutil.which("rpmbuild") is None or os.geteuid() != 0,
        reason="needs rpm and rpmbuild, as root; to enable: .ci/builders",
    ),
]

SPEC = """
Name: app
Version: 1.2
Release: 3
Epoch: 2
Summary: x
License: MIT
BuildArch: noarch
Requires: app-libs = 2:1.2-3, (app-more or absent), /usr/share/data/file
Requires(post): app-scripts
%description
x
%package libs
Summary: x
%description libs
x
%package more
Summary: x
Provides: /usr/share/data/file, more(virtual) = 3
%description more
x
%package scripts
Summary: x
%description scripts
x
%package unused
Summary: x
%description unused
x
%post
app-scripts
%install
cd %{buildroot}
mkdir -p usr/bin usr/lib/app usr/share/data usr/share/doc/app usr/share/licenses/app etc
for name in app app-scripts app-unused; do
  printf '#!/usr/bin/sh\\nread line </usr/lib/app/module\\n' >usr/bin/$name
  chmod 755 usr/bin/$name
done
ln -s app usr/bin/app-link
echo conf >etc/app.conf
for file in lib/app/module share/data/file share/doc/app/README share/licenses/app/COPYING; do
  echo $file >usr/$file
done
%files
/usr/bin/app
/usr/bin/app-link
%config(noreplace) /etc/app.conf
%doc /usr/share/doc/app/README
%license /usr/share/licenses/app/COPYING
%ghost /var/log/app.log
%files libs
/usr/lib/app
%files more
/usr/share/data
%files scripts
/usr/bin/app-scripts
%files unused
/usr/bin/app-unused
"""
PLACE = "/usr/lib/sysimage/rpm"
OPTIONS = ("--dbpath", PLACE, "--define", "_db_backend sqlite")


def rpm(top: Path, *words: str) -> list[str]:
    """The lines that rpm says about the tree at ``top``."""
    return engines.command("rpm", "--root", str(top), *OPTIONS, *words).decode().splitlines()


@pytest.fixture(scope="module")
def fat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree in which rpm has installed the packages of the spec."""
    folder = tmp_path_factory.mktemp("rpm")
    spec = folder / "app.spec"
    spec.write_text(SPEC)
    engines.command("rpmbuild", "-bb", "--define", f"_topdir {folder}", str(spec))
    top = folder / "root"
    (top / PLACE.lstrip("/")).mkdir(parents=True)
    (top / "var/lib").mkdir(parents=True)
    (top / "var/lib/rpm").symlink_to(f"../..{PLACE}")
    packages = sorted(map(str, (folder / "RPMS" / "noarch").iterdir()))
    rpm(top, "--initdb")
    rpm(top, "--install", "--nodeps", "--noscripts", "--ignoreos", *packages)
    (top / "usr/bin/sh").write_bytes(Path("/bin/sh").read_bytes())
    (top / "usr/bin/sh").chmod(0o755)
    (top / "etc/os-release").write_text("ID=fedora\nVERSION_ID=40\n")
    return top


@pytest.fixture(scope="module")
def analysis(fat: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analysis]:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add(fat, arcname="")
    path = tmp_path_factory.mktemp("archive") / "fat.tar"
    config = {"Entrypoint": ["/usr/bin/app"]}
    with analyze(str(docker_archive(path, Made([tar.getvalue()], config, ("rpm:1",))))) as found:
        yield found


@pytest.fixture(scope="module")
def archive(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("slim") / "slim.tar"
    archived(analysis, target)
    return target


@pytest.fixture(scope="module")
def slim(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree")
    for layer in Files.of(archive.read_bytes()).layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as members:
            members.extractall(top, filter="fully_trusted")
    return top


def packages_of(analysis: Analysis) -> dict[str, Package]:
    return {package.name: package for package in analysis.world.packages.packages.values()}


def owners(analysis: Analysis) -> set[str]:
    kept = {k.entry.path for k in analysis.plan.keeps if not k.entry.is_directory}
    packages = analysis.world.packages.packages.values()
    return {package.name for package in packages if not kept.isdisjoint(package.files)}


def test_packages_are_read_as_rpm_says(fat: Path, analysis: Analysis) -> None:
    found = packages_of(analysis)
    rows = rpm(fat, "-qa", "--qf", "%{NAME} %{EVR} %{ARCH}\n")
    assert sorted(rows) == sorted(f"{p.name} {p.version} {p.architecture}" for p in found.values())
    for name, package in found.items():
        listed = rpm(fat, "-ql", name)
        assert set(package.files) == {path for path in listed if os.path.lexists(f"{fat}{path}")}
        assert list(package.conffiles) == rpm(fat, "-qc", name)
        lines = rpm(fat, "-q", "--qf", "[%{FILENAMES} %{FILEDIGESTS}\n]", name)
        digests = dict(line.split(" ") for line in lines)
        for path, (algorithm, digest) in package.checksums.items():
            assert (algorithm, digest) == ("sha256", digests[path])


def test_every_file_has_the_owner_that_rpm_says(fat: Path, analysis: Analysis) -> None:
    for name, package in packages_of(analysis).items():
        for path in package.files:
            assert rpm(fat, "-qf", "--qf", "%{NAME}", path) == [name]


def test_dependencies_are_those_of_run_time(analysis: Analysis) -> None:
    assert packages_of(analysis)["app"].depends == ("rpm:app-more", "rpm:app-libs")


def test_rpm_finds_in_the_slim_image_what_is_kept(slim: Path, analysis: Analysis) -> None:
    assert sorted(rpm(slim, "-qa", "--qf", "%{NAME}\n")) == sorted(owners(analysis))
    assert owners(analysis) == {"app", "app-libs", "app-more"}
    assert not (slim / "usr/share/doc/app/README").exists()
    assert rpm(slim, "-qf", "--qf", "%{NAME}", "/usr/bin/app-link") == ["app"]
    assert rpm(slim, "-q", "--qf", "%{NAME}", "--whatprovides", "more(virtual)") == ["app-more"]


def test_rpm_verifies_the_slim_image(slim: Path) -> None:
    assert rpm(slim, "-V", "--nodeps", "--all") == []
    engines.command("rpmdb", "--root", str(slim), *OPTIONS, "--verifydb")


def test_rpm_goes_on_with_the_slim_database(slim: Path, tmp_path: Path) -> None:
    top = tmp_path / "tree"
    shutil.copytree(slim, top, symlinks=True)
    rpm(top, "--erase", "--nodeps", "--noscripts", "app-more")
    assert sorted(rpm(top, "-qa", "--qf", "%{NAME}\n")) == ["app", "app-libs"]


def test_a_scanner_finds_in_the_slim_image_what_is_kept(archive: Path, analysis: Analysis) -> None:
    said = engines.command(
        syft_path(),
        "scan",
        f"docker-archive:{archive}",
        "--quiet",
        "--output=json",
        env={"SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    rows = [row for row in json.loads(said)["artifacts"] if row["type"] == "rpm"]
    found = packages_of(analysis)
    assert Counter((row["name"], row["version"]) for row in rows) == Counter(
        (name, found[name].version) for name in owners(analysis)
    )


def test_rpm_reads_what_the_tests_build(tmp_path: Path) -> None:
    made = Rpm("made", [RpmFile("/a", "a", 1), RpmFile("/b", state=2)], [("x", 256)], epoch=1)
    folder = tmp_path / PLACE.lstrip("/")
    folder.mkdir(parents=True)
    (folder / "rpmdb.sqlite").write_bytes(rpm_database(made))
    lines = rpm(
        tmp_path,
        "-qa",
        "--qf",
        "%{EVR} %{ARCH}\n[%{FILENAMES} %{FILESTATES} %{FILEFLAGS}\n][%{REQUIRENAME} "
        "%{REQUIREFLAGS}\n]",
    )
    assert lines == ["1:1.0-1 x86_64", "/a 0 1", "/b 2 0", "x 256"]
