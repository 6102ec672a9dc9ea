"""Advice on packages: what is only recommended, what only builds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from imgslim.audit.model import Advice, AdviceKind, Audit, BaseImage, Evidence
from tests.audits import audit_of
from tests.test_advice import BASE, BASE_TREE, kinds, only
from tests.worlds import File, Member, Tree


def deb(name: str, layer_files: dict[str, Member], **fields: str) -> tuple[str, Tree]:
    """A package's stanza and files, with dpkg's list of them."""
    lines = {"Package": name, "Status": "install ok installed", "Architecture": "amd64", **fields}
    listed = "".join(f"{path}\n" for path in layer_files)
    stanza = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in lines.items())
    return stanza, {**layer_files, f"/var/lib/dpkg/info/{name}.list": listed}


def installed(*packages: tuple[str, Tree], automatic: Sequence[str] = ()) -> Tree:
    """The layer of an apt-get install of these."""
    tree: dict[str, Member] = {"/var/lib/dpkg/status": "\n".join(row[0] for row in packages)}
    for _, files in packages:
        tree |= files
    states = [f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1\n" for name in automatic]
    tree["/var/lib/apt/extended_states"] = "\n".join(states)
    return tree


def sized(path: str, size: int) -> dict[str, Member]:
    return {path: File(b"x" * size)}


CURL = installed(
    deb("curl", sized("/usr/bin/curl", 500), Depends="libcurl", Recommends="certs"),
    deb("libcurl", sized("/usr/lib/libcurl", 600), Recommends="missing | gone, suffix"),
    deb("certs", sized("/usr/share/certs", 7000), Depends="openssl"),
    deb("openssl", sized("/usr/bin/openssl", 9000)),
    deb("suffix", sized("/usr/share/suffix", 300), Depends="libcurl"),
    automatic=["libcurl", "certs", "openssl", "suffix"],
)
APT = "/bin/sh -c apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*"


def listed_bytes(tree: Tree, *names: str) -> int:
    records = [tree[f"/var/lib/dpkg/info/{name}.list"] for name in names]
    return sum(len(record) for record in records if isinstance(record, str))


def test_what_is_only_recommended_is_left_out(tmp_path: Path) -> None:
    audit = audit_of(tmp_path, BASE_TREE, CURL, history=[BASE, APT], keep=["/usr/bin/curl"])
    advice = only(audit, AdviceKind.RECOMMENDS)
    assert advice.packages == ("deb:certs", "deb:openssl", "deb:suffix")
    assert advice.edit == "add `--no-install-recommends` to `apt-get install` in the RUN of layer 1"
    records = listed_bytes(CURL, "certs", "openssl", "suffix")
    assert advice.saved_bytes == 7000 + 9000 + 300 + records


def test_what_the_program_needs_of_it_is_named(tmp_path: Path) -> None:
    keep = ["/usr/bin/curl", "/usr/share/certs"]
    audit = audit_of(tmp_path, BASE_TREE, CURL, history=[BASE, APT], keep=keep)
    advice = only(audit, AdviceKind.RECOMMENDS)
    assert advice.packages == ("deb:suffix",)
    assert advice.edit.endswith("and to its packages, for the program needs them: certs")


@pytest.mark.parametrize(
    "made_by",
    [
        APT.replace("-y", "-y --no-install-recommends"),
        APT.replace("-y", "-o APT::Install-Recommends=false"),
        "/bin/sh -c ./install.sh",
    ],
)
def test_no_advice_where_nothing_recommended_was_asked_for(tmp_path: Path, made_by: str) -> None:
    audit = audit_of(tmp_path, BASE_TREE, CURL, history=[BASE, made_by], keep=["/usr/bin/curl"])
    assert AdviceKind.RECOMMENDS not in kinds(audit)


def test_apts_own_configuration_is_read(tmp_path: Path) -> None:
    conf = {"/etc/apt/apt.conf.d/99x": 'APT::Install-Recommends "0";\n'}
    audit = audit_of(
        tmp_path, {**BASE_TREE, **conf}, CURL, history=[BASE, APT], keep=["/usr/bin/curl"]
    )
    assert AdviceKind.RECOMMENDS not in kinds(audit)


GCC = installed(
    deb("gcc", sized("/usr/bin/gcc", 9000), Section="devel", Depends="cpp, libgomp"),
    deb("cpp", sized("/usr/lib/cpp", 3000), Section="devel"),
    deb("libgomp", sized("/usr/lib/libgomp", 400)),
    deb("bc", sized("/usr/bin/bc", 100)),
    automatic=["cpp", "libgomp"],
)
BUILD = "/bin/sh -c apt-get install -y --no-install-recommends gcc bc"
MADE: Tree = {"/usr/local/bin/app": File("app", mode=0o755)}


def test_a_compiler_goes_to_a_build_stage(tmp_path: Path) -> None:
    keep = ["/usr/local/bin/app", "/usr/bin/bc"]
    history = [BASE, BUILD, "/bin/sh -c gcc app.c"]
    base = BaseImage("debian:12", evidence=Evidence.LOCAL, layer_count=1)
    audit = audit_of(tmp_path, BASE_TREE, GCC, MADE, history=history, keep=keep, base=base)
    advice = only(audit, AdviceKind.BUILD_STAGE)
    assert advice.packages == ("deb:cpp", "deb:gcc", "deb:libgomp")
    assert advice.saved_bytes == 12_400 + listed_bytes(GCC, "gcc", "cpp", "libgomp")
    assert advice.edit.split("\n") == [
        "FROM debian:12 AS build",
        "# the RUN of layer 1, and what it builds, with gcc",
        "FROM debian:12",
        "# the RUN of layer 1 without gcc",
        "COPY --from=build /usr/local/bin/app /usr/local/bin/app",
    ]


def test_a_library_of_the_compilers_that_runs_is_named(tmp_path: Path) -> None:
    keep = ["/usr/local/bin/app", "/usr/lib/libgomp"]
    history = [BASE, BUILD, "/bin/sh -c gcc app.c"]
    audit = audit_of(tmp_path, BASE_TREE, GCC, MADE, history=history, keep=keep)
    advice = only(audit, AdviceKind.BUILD_STAGE)
    assert advice.packages == ("deb:cpp", "deb:gcc")
    assert "# and with what the program needs of theirs: libgomp" in advice.edit


@pytest.mark.parametrize("keep", [None, ["/usr/bin/gcc"]])
def test_a_compiler_that_runs_or_may_run_stays(tmp_path: Path, keep: list[str] | None) -> None:
    audit = audit_of(tmp_path, BASE_TREE, GCC, history=[BASE, BUILD], keep=keep)
    assert AdviceKind.BUILD_STAGE not in kinds(audit)


def test_what_a_compiler_recommends_is_not_taken_from_it(tmp_path: Path) -> None:
    tree = installed(
        deb("gcc", sized("/usr/bin/gcc", 9000), Section="devel", Recommends="libc-dev"),
        deb("libc-dev", sized("/usr/lib/crt1.o", 800), Section="libdevel"),
        automatic=["libc-dev"],
    )
    made_by = "/bin/sh -c apt-get install -y gcc"
    audit = audit_of(tmp_path, BASE_TREE, tree, history=[BASE, made_by], keep=["/bin/sh"])
    advice = only(audit, AdviceKind.BUILD_STAGE)
    assert AdviceKind.RECOMMENDS not in kinds(audit)
    assert advice.packages == ("deb:gcc", "deb:libc-dev")


def test_the_base_images_tools_ask_for_a_last_stage_without_it(tmp_path: Path) -> None:
    base = BaseImage("gcc:13", evidence=Evidence.LOCAL, layer_count=2)
    history = [BASE, BUILD, "COPY app /usr/local/bin/app # buildkit"]
    audit = audit_of(
        tmp_path, BASE_TREE, GCC, MADE, history=history, keep=["/usr/local/bin/app"], base=base
    )
    advice = only(audit, AdviceKind.BUILD_STAGE)
    assert advice.saved_bytes == audit.base_weight.removable_bytes
    assert advice.edit.startswith("FROM gcc:13 AS build\n")
    assert "FROM scratch" in advice.edit


# ------------------------------------------------------------------- what dpkg can leave out

INSTALLS = [BASE, "RUN apt-get install -y one", "RUN apt-get install -y two"]


def installed_apart(**more: dict[str, Member]) -> tuple[Tree, Tree]:
    """Two packages, each in a layer of its own, with documentation and a translation."""
    one, two = (
        deb(
            name,
            {
                **sized(f"/usr/bin/{name}", 10),
                **sized(f"/usr/share/doc/{name}/README", 3000),
                **sized(f"/usr/share/doc/{name}/copyright", 200),
                **sized(f"/usr/share/locale/de/LC_MESSAGES/{name}.mo", 500),
                **more.get(name, {}),
            },
        )
        for name in ("one", "two")
    )
    return installed(one), {**two[1], "/var/lib/dpkg/status": f"{one[0]}\n{two[0]}"}


def cleaning(audit: Audit, word: str) -> list[Advice]:
    return [row for row in audit.advice if row.kind is AdviceKind.CLEAN and word in row.title]


def test_what_dpkg_brings_in_several_runs_is_left_out_once(tmp_path: Path) -> None:
    first, second = installed_apart()
    audit = audit_of(tmp_path, BASE_TREE, first, second, history=INSTALLS, keep=["/usr/bin/one"])
    (docs,), (locales,) = cleaning(audit, "documentation"), cleaning(audit, "translations")
    assert docs.title == "dpkg brings documentation and man pages in layers 1 and 2"
    assert docs.edit == (
        "begin the RUN of layer 1 with `printf '%s\\n' 'path-exclude=/usr/share/doc/*' "
        "'path-include=/usr/share/doc/*/copyright' >> /etc/dpkg/dpkg.cfg.d/left-out &&`"
    )
    assert (docs.saved_bytes, docs.layer_index) == (6000, None)
    assert "'path-exclude=/usr/share/locale/*' >>" in locales.edit and locales.saved_bytes == 1000


def test_in_one_run_a_command_at_its_end_will_do(tmp_path: Path) -> None:
    first, _ = installed_apart()
    audit = audit_of(tmp_path, BASE_TREE, first, history=INSTALLS[:2], keep=["/usr/bin/one"])
    (locales,) = cleaning(audit, "translations")
    assert locales.edit == "add `rm -rf /usr/share/locale/*` to the RUN of layer 1, at its end"


def test_what_dpkg_did_not_bring_it_cannot_leave_out(tmp_path: Path) -> None:
    first, _ = installed_apart()
    second = sized("/usr/share/locale/fr/LC_MESSAGES/made.mo", 500)
    audit = audit_of(tmp_path, BASE_TREE, first, second, history=INSTALLS, keep=["/usr/bin/one"])
    edits = [row.edit for row in cleaning(audit, "translations")]
    assert len(edits) == 2 and all(edit.startswith("add `rm -rf") for edit in edits)


@pytest.mark.parametrize("where", ["in the layer", "in the base"])
def test_a_directory_with_something_that_is_needed_stays(where: str, tmp_path: Path) -> None:
    first, _ = installed_apart(one=sized("/usr/share/man/man1/one.1", 4000))
    base: Tree = {**BASE_TREE, **sized("/usr/share/locale/de/LC_MESSAGES/app.mo", 7)}
    needed = f"/usr/share/locale/de/LC_MESSAGES/{'one' if where == 'in the layer' else 'app'}.mo"
    readme = "/usr/share/doc/one/README"
    audit = audit_of(tmp_path, base, first, history=INSTALLS[:2], keep=[needed, readme])
    assert cleaning(audit, "translations") == []
    (docs,) = cleaning(audit, "documentation")
    assert docs.edit == "add `rm -rf /usr/share/man/*` to the RUN of layer 1, at its end"


def test_no_byte_is_promised_twice(tmp_path: Path) -> None:
    tree = installed(
        deb("app", sized("/usr/bin/app", 100), Recommends="extra"),
        deb("extra", {**sized("/usr/share/doc/extra/README", 5000), **sized("/usr/lib/e", 70)}),
        automatic=["extra"],
    )
    made_by = "/bin/sh -c apt-get install -y app"
    audit = audit_of(tmp_path, BASE_TREE, tree, history=[BASE, made_by], keep=["/usr/bin/app"])
    assert only(audit, AdviceKind.RECOMMENDS).saved_bytes == 5070 + listed_bytes(tree, "extra")
    assert AdviceKind.CLEAN not in kinds(audit)
    assert audit.advised_bytes == sum(row.saved_bytes for row in audit.advice)
