"""Perl: what is kept of an interpreter's library and of installed modules, at each level."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import ImageConfig, Plan
from imgslim.pipeline import derive_plan
from imgslim.runtimes.perl.invoke import parse_perl
from imgslim.runtimes.perl.source import read_source
from tests.elves import elf
from tests.worlds import File, Tree, make_world

PRIV = "/usr/share/perl/5.36"
ARCH = "/usr/lib/x86_64-linux-gnu/perl/5.36"
VENDOR = "/usr/share/perl5"
VENDOR_ARCH = "/usr/lib/x86_64-linux-gnu/perl5/5.36"
CONFIG = f"""
local *_ = my $a;
    archlibexp => '{ARCH}',
    privlibexp => '{PRIV}',
    sitearchexp => '/usr/local/lib/x86_64-linux-gnu/perl/5.36.0',
    sitelibexp => '/usr/local/share/perl/5.36.0',
    version => '5.36.0',
"""
CORE = {
    f"{ARCH}/Config.pm": CONFIG,
    f"{ARCH}/Config_heavy.pl": f"vendorarchexp='{VENDOR_ARCH}'\n"
    f"vendorlibexp='{VENDOR}'\ninstallbin='/usr/bin'\n",
    f"{ARCH}/POSIX.pm": "use Fcntl;",
    f"{ARCH}/POSIX.pod": "",
    f"{ARCH}/Fcntl.pm": "",
    f"{ARCH}/auto/POSIX/POSIX.so": "",
    f"{ARCH}/CORE/perl.h": "",
    f"{PRIV}/strict.pm": "",
    f"{PRIV}/unicore/Name.pl": "",
    f"{PRIV}/unicore/To/Gc.pl": "",
    f"{PRIV}/Unicode/UCD.pm": "",
    f"{PRIV}/Net/Cmd.pm": "",
    f"{PRIV}/Net/SMTP.pm": "require Net::Cmd;",
    f"{PRIV}/Mail/Send.pm": "sub new { require Net::SMTP; }",
    f"{PRIV}/Text/Wrap.pm": "",
    f"{PRIV}/Test/More.pm": "use Test::Builder;",
    f"{PRIV}/Test/Builder.pm": "",
    f"{ARCH}/Unicode/Collate.pm": "my $table = 'allkeys.txt';",
    f"{ARCH}/auto/Unicode/Collate/Collate.so": "",
    f"{PRIV}/Unicode/Collate/allkeys.txt": "",
    f"{ARCH}/Unicode/Collate/Locale.pm": "use base 'Unicode::Collate';",
    f"{PRIV}/Unicode/Collate/Locale/de.pl": "",
}
PACKAGES = {
    "perl-base": ["/usr/bin/perl"],
    "perl-modules-5.36": [path for path in CORE if path.startswith(PRIV)],
    "libperl5.36": [path for path in CORE if path.startswith(ARCH)],
    "libframe-perl": [f"{VENDOR}/Frame.pm"],
    "libframe-plugin-perl": [f"{VENDOR}/Frame/Plugin/Mail.pm"],
    "libdbi-perl": [f"{VENDOR}/DBI.pm"],
    "libdbd-lite-perl": [f"{VENDOR}/DBD/Lite.pm"],
    "libother-perl": [f"{VENDOR}/Other/Thing.pm"],
}


def plan_of(
    tmp_path: Path,
    source: str,
    *,
    level: Level = Level.BALANCED,
    cmd: str = "perl /app/main.pl",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    tree: dict[str, object] = {**CORE, **more, "/usr/bin/perl": File(elf(), mode=0o755)}
    stanzas = []
    for name, files in {**PACKAGES, "libmore-perl": list(more)}.items():
        stanzas.append(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
            f"Depends: {'libperl5.36, perl-modules-5.36' if name == 'perl-base' else 'perl-base'}\n"
        )
        tree[f"/var/lib/dpkg/info/{name}.list"] = "".join(f"{path}\n" for path in files)
        for path in files:
            tree.setdefault(path, "")
    tree["/var/lib/dpkg/status"] = "\n".join(stanzas)
    tree["/app/main.pl"] = source
    tree["/app/t/main.t"] = "use Other::Thing;"
    config = ImageConfig(cmd=tuple(cmd.split()), env=(("PATH", "/usr/bin"),), working_dir="/app")
    layers: Tree = tree  # type: ignore[assignment]
    world = make_world(tmp_path, layers, config=config, choices=Choices(level=level))
    plan = derive_plan(world)
    world.rootfs.close()
    return plan


def kept(plan: Plan) -> set[str]:
    return {keep.entry.path for keep in plan.keeps if not keep.entry.is_directory}


@pytest.mark.parametrize(
    ("level", "there", "gone"),
    [
        (Level.SAFE, ["Test/More.pm", "Text/Wrap.pm", "Unicode/Collate/allkeys.txt"], []),
        (
            Level.BALANCED,
            ["Text/Wrap.pm", "unicore/Name.pl"],
            ["Test/More.pm", "Unicode/Collate/allkeys.txt", "unicore/To/Gc.pl", "Net/SMTP.pm"],
        ),
        (
            Level.TIGHT,
            ["strict.pm", "unicore/Name.pl"],
            ["Text/Wrap.pm", "Test/More.pm", "unicore/To/Gc.pl"],
        ),
    ],
)
def test_the_core_library_by_level(
    tmp_path: Path, level: Level, there: list[str], gone: list[str]
) -> None:
    found = kept(plan_of(tmp_path, "use POSIX;", level=level))
    assert {f"{PRIV}/{name}" for name in there} <= found
    assert not {f"{PRIV}/{name}" for name in gone} & found
    assert {f"{ARCH}/{name}" for name in ("auto/POSIX/POSIX.so", "Fcntl.pm")} <= found
    assert (f"{ARCH}/CORE/perl.h" in found) is (level is Level.SAFE)
    assert (f"{ARCH}/POSIX.pod" in found) is (level is Level.SAFE)


TABLE, GERMAN = f"{PRIV}/Unicode/Collate/allkeys.txt", f"{PRIV}/Unicode/Collate/Locale/de.pl"
NETWORK = {f"{PRIV}/Net/{name}.pm" for name in ("Cmd", "SMTP")}
COLLATION = {f"{ARCH}/{name}" for name in ("Unicode/Collate.pm", "auto/Unicode/Collate/Collate.so")}
PARTS = {TABLE, GERMAN, f"{PRIV}/unicore/To/Gc.pl", *NETWORK, *COLLATION}


@pytest.mark.parametrize("level", [Level.BALANCED, Level.TIGHT])
@pytest.mark.parametrize(
    ("source", "there"),
    [
        ("require Unicode::Collate;", COLLATION),
        ("use Unicode::Collate; Unicode::Collate->new(rewrite => $f);", {*COLLATION, TABLE}),
        ("use Unicode::Collate; my %o = (table => 'allkeys.txt');", {*COLLATION, TABLE}),
        ("my %o = (rewrite => 1);", set()),
        ("use Unicode::Collate::Locale;", {*COLLATION, GERMAN}),
        ("use Unicode::UCD;", {f"{PRIV}/unicore/To/Gc.pl"}),
        ('do "unicore/To/Gc.pl";', {f"{PRIV}/unicore/To/Gc.pl"}),
        ("use Mail::Send;", NETWORK),
        ('my $class = "Net::$protocol"; eval "require $class";', NETWORK),
        ("my $class = 'Net::' . $protocol; load($class);", NETWORK),
        ('require "Net/$protocol.pm";', NETWORK),
        ('print "Net: $sum";', set()),
    ],
)
def test_a_part_of_the_core_library_that_is_loaded(
    tmp_path: Path, level: Level, source: str, there: set[str]
) -> None:
    assert kept(plan_of(tmp_path, source, level=level)) & PARTS == there


@pytest.mark.parametrize("level", [Level.BALANCED, Level.TIGHT])
def test_a_perl_that_reads_its_unicode_tables_for_operators(tmp_path: Path, level: Level) -> None:
    tree = {f"{PRIV}/utf8_heavy.pl": ""}
    found = kept(plan_of(tmp_path, "print 1;", level=level, more=tree))
    assert f"{PRIV}/unicore/To/Gc.pl" in found


@pytest.mark.parametrize("level", [Level.BALANCED, Level.TIGHT])
def test_of_two_extensions_the_one_beside_the_module_that_is_found(
    tmp_path: Path, level: Level
) -> None:
    beside = f"{VENDOR_ARCH}/auto/POSIX"
    tree = {f"{VENDOR_ARCH}/POSIX.pm": "", f"{beside}/POSIX.so": "", f"{beside}/POSIX.h": ""}
    found = kept(plan_of(tmp_path, "use POSIX;", level=level, more=tree))
    assert {f"{VENDOR_ARCH}/POSIX.pm", f"{beside}/POSIX.so"} <= found
    assert (f"{ARCH}/auto/POSIX/POSIX.so" in found) is (level is Level.BALANCED)
    assert f"{beside}/POSIX.h" not in found


@pytest.mark.parametrize(
    ("source", "there"),
    [
        ("use Frame;", ["Frame.pm", "Frame/Plugin/Mail.pm"]),
        ('my $class = "Other::Thing"; load($class);', ["Other/Thing.pm"]),
        ("use parent qw(Frame);", ["Frame.pm", "Frame/Plugin/Mail.pm"]),
        ('use DBI; DBI->connect("dbi:Lite:$file");', ["DBI.pm", "DBD/Lite.pm"]),
        (
            "require $module;",
            ["Frame.pm", "Frame/Plugin/Mail.pm", "DBI.pm", "DBD/Lite.pm", "Other/Thing.pm"],
        ),
        ("# use Frame;\nprint 1;", []),
    ],
)
def test_modules_of_packages_that_sources_load(
    tmp_path: Path, source: str, there: list[str]
) -> None:
    found = kept(plan_of(tmp_path, source))
    assert {path for path in found if path.startswith(VENDOR)} == {f"{VENDOR}/{n}" for n in there}


def test_what_runs_is_described_and_understood(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "print 1;")
    assert plan.programs[0].description == "Perl 5.36.0"
    assert not [problem for problem in plan.problems if problem.code == "no-module"]


@pytest.mark.parametrize(
    ("argv", "script", "modules", "code"),
    [
        ("perl -w app.pl x", "app.pl", (), ()),
        ("perl -Ilib -MPOSIX=floor -mJSON::PP -e 1", "", ("POSIX", "JSON::PP"), ("1",)),
        ("perl -I lib app.pl", "app.pl", (), ()),
        ("perl -M-strict -ne print", "", ("strict",), ("print",)),
        ("perl -i.bak -- -odd", "-odd", (), ()),
    ],
)
def test_words_of_perl(
    argv: str, script: str, modules: tuple[str, ...], code: tuple[str, ...]
) -> None:
    command = parse_perl(argv.split())
    assert (command.script, command.modules, command.code) == (script, modules, code)


def test_what_a_source_starts() -> None:
    facts = read_source(
        b"""open(my $list, '-|', 'ls', '-l', $dir); open IN, "date -u |"; my $name = `uname -a`;
        system "convert", $from; system($line); no strict; open my $f, '<', 'data.txt';"""
    )
    assert [(start.words, start.in_shell) for start in facts.starts] == [
        (("ls", "-l"), False),
        (("date -u",), True),
        (("convert",), False),
        (("uname -a",), True),
    ]
    assert facts.starts_unknown
    assert "strict" not in facts.modules


@pytest.mark.parametrize("level", [Level.BALANCED, Level.TIGHT])
def test_an_embedded_perl_keeps_the_copies_that_only_it_finds(tmp_path: Path, level: Level) -> None:
    base = "/usr/lib/x86_64-linux-gnu/perl-base"
    library = "/usr/lib/x86_64-linux-gnu/libperl.so.5.36"
    more: Mapping[str, str] = {f"{base}/strict.pm": "", f"{base}/Config.pm": CONFIG}
    first, second = f"{base}/strict.pm", f"{PRIV}/strict.pm"
    (tmp_path / "alone").mkdir()
    alone = plan_of(tmp_path / "alone", "use strict;", level=level, more=more)
    assert len({first, second} & {keep.entry.path for keep in alone.keeps}) == 1
    (tmp_path / "both").mkdir()
    source = "use strict;"
    both = plan_of(
        tmp_path / "both",
        source,
        level=level,
        more={**more, library: "so"},
        cmd=f"perl /app/main.pl {library}",
    )
    assert {first, second, library} <= {keep.entry.path for keep in both.keeps}
