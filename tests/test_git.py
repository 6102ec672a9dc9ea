"""What git runs because of its configuration: trees in, the plan's kept programs out."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import ImageConfig, Origin, OriginKind, Plan
from imgslim.pipeline import derive_plan
from imgslim.plan import build_plan
from imgslim.roots import resolve_roots
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.distro import DistroPackages
from imgslim.runtimes.git import GitRuntime, parse_git_config
from imgslim.runtimes.script import ScriptRuntime
from imgslim.runtimes.shell import ShellRuntime
from tests.scripts import ELF, kept, script, world_of
from tests.test_distro import debian
from tests.worlds import File, Member, Tree, make_world


def kept_with(tmp_path: Path, run: str, **files: Member) -> set[str]:
    tree: dict[str, Member] = {"/run.sh": script(run)}
    tree.update({path.replace("__", "/"): text for path, text in files.items()})
    names = ["git", "gunzip", "xz", "less", "tac", "/usr/lib/git-core/git-daemon"]
    world = world_of(tmp_path, tree, programs=names, cmd=("/run.sh",))
    kinds = (CommandRuntime, ShellRuntime, ScriptRuntime, GitRuntime)
    runtimes = [kind(world) for kind in kinds]
    commands, findings = resolve_roots(world, ())
    origin = Origin(OriginKind.USER)
    plan = build_plan(
        world,
        commands,
        findings,
        runtimes,
        lambda path: origin if path in tree else Origin(OriginKind.PACKAGE),
    )
    return kept(plan)


CONFIG = '[diff "gz"]\n\ttextconv = gunzip -c\n[core]\n\tpager = less -R # comment\n'


@pytest.mark.parametrize("path", ["__etc__gitconfig", "__root__.gitconfig"])
def test_commands_in_configuration_come_with_git(tmp_path: Path, path: str) -> None:
    found = kept_with(tmp_path, "git diff", **{path: CONFIG})
    assert {"/usr/bin/gunzip", "/usr/bin/less"} <= found


def test_configuration_of_a_repository_counts_and_of_other_things_not(tmp_path: Path) -> None:
    repository = {"__srv__a.git__config": CONFIG, "__srv__a.git__HEAD": "", "__srv__b__config": ""}
    found = kept_with(tmp_path, "git log", **{**repository, "__srv__a.git__objects__x": ""})
    assert "/usr/bin/gunzip" in found
    (tmp_path / "other").mkdir()
    other = kept_with(tmp_path / "other", "git log", __srv__b__config=CONFIG)
    assert "/usr/bin/gunzip" not in other


def test_without_git_its_configuration_says_nothing(tmp_path: Path) -> None:
    assert "/usr/bin/gunzip" not in kept_with(tmp_path, "true", __etc__gitconfig=CONFIG)


def test_commands_in_its_arguments(tmp_path: Path) -> None:
    found = kept_with(tmp_path, "git -c tar.tar.xz.command='xz -c' archive HEAD\ngit -C / daemon")
    assert {"/usr/bin/xz", "/usr/lib/git-core/git-daemon"} <= found


def test_aliases(tmp_path: Path) -> None:
    config = '[alias]\n\tback = "!tac file"\n\tst = daemon\n'
    found = kept_with(tmp_path, "git back", __etc__gitconfig=config)
    assert {"/usr/bin/tac", "/usr/lib/git-core/git-daemon"} <= found


def test_the_syntax_of_configuration() -> None:
    text = '[a "b.c"] k = "x ; y" ; no\n# c\n[d]\nlong = one \\\n two\nflag\n'
    assert list(parse_git_config(text)) == [("a.b.c.k", "x ; y"), ("d.long", "one  two")]


CORE = "/usr/lib/git-core"
PULL = 'set x $(git ls-remote "$url" | /usr/bin/perl -e "$code" "$head")'
PACKAGES = debian(
    {
        "git": (
            "Depends: perl, libc6",
            {
                "/usr/bin/git": File(ELF, 0o755),
                f"{CORE}/git-filter-branch": script("if test $map; then perl -e 1; fi"),
                f"{CORE}/git-merge-octopus": script(f"{PULL}\ntr a b"),
                f"{CORE}/git-request-pull": script(PULL),
                f"{CORE}/git-daemon": File(ELF, 0o755),
                f"{CORE}/git-shell": File(ELF, 0o755),
            },
        ),
        "perl": ("Depends: perl-base", {"/usr/bin/cpan": script("", "#!/usr/bin/perl")}),
        "perl-base": (
            "Depends: libc6\nEssential: yes",
            {"/usr/bin/perl": File(ELF, 0o755), "/usr/lib/perl-base/a.pm": "1" * 1000},
        ),
        "libc6": ("", {"/usr/lib/libc.so.6": "2" * 1000}),
    }
)


def packaged(
    tmp_path: Path,
    level: Level,
    tree: dict[str, Member],
    config: ImageConfig = ImageConfig(cmd=("/app/run.sh",)),  # noqa: B008 - it is frozen
) -> tuple[set[str], Plan]:
    """What an image's command keeps of git's and perl's packages, by their own rules."""
    system = {name: File(ELF, 0o755) for name in ("/bin/sh", "/usr/bin/tr")}
    world = make_world(
        tmp_path, {**PACKAGES, **system, **tree}, config=config, choices=Choices(level=level)
    )
    kinds = (CommandRuntime, ShellRuntime, GitRuntime, ScriptRuntime, DistroPackages)
    commands, findings = resolve_roots(world, ())
    runtimes = [kind(world) for kind in kinds]
    owned = {path for p in world.packages.packages.values() for path in p.files}
    user, package = Origin(OriginKind.USER), Origin(OriginKind.PACKAGE)
    plan = build_plan(
        world, commands, findings, runtimes, lambda path: package if path in owned else user
    )
    return kept(plan), plan


PERL = {"/usr/bin/perl", "/usr/lib/perl-base/a.pm"}


@pytest.mark.parametrize("level", Level)
def test_the_interpreter_of_rare_subcommands_is_priced_beyond_safe(
    tmp_path: Path, level: Level
) -> None:
    found, plan = packaged(tmp_path, level, {"/app/run.sh": script("git log")})
    assert {f"{CORE}/git-filter-branch", f"{CORE}/git-merge-octopus", "/usr/bin/tr"} <= found
    rare = PERL | {f"{CORE}/git-request-pull", f"{CORE}/git-daemon"}
    assert rare <= found if level is Level.SAFE else rare.isdisjoint(found)
    said = [p for p in plan.problems if "git-request-pull" in p.message]
    assert [("perl" in p.message, 1000 < p.cost_bytes < 2000) for p in said] == (
        [] if level is Level.SAFE else [(True, True)]
    )


@pytest.mark.parametrize(
    ("config", "is_open"),
    [
        (ImageConfig(entrypoint=("git",)), True),
        (ImageConfig(entrypoint=("git",), cmd=("log",)), True),
        (ImageConfig(entrypoint=("git", "log")), False),
        (ImageConfig(cmd=("git", "log")), False),
    ],
)
def test_whoever_starts_git_itself_may_ask_for_any_of_its_commands(
    tmp_path: Path, config: ImageConfig, is_open: bool
) -> None:
    found, _ = packaged(tmp_path, Level.BALANCED, {}, config)
    rare = PERL | {f"{CORE}/git-request-pull", f"{CORE}/git-daemon", f"{CORE}/git-shell"}
    assert rare <= found if is_open else rare.isdisjoint(found)


@pytest.mark.parametrize(("command", "kept"), [(("git", "log"), True), (("/app/run.sh",), False)])
def test_the_repository_that_git_is_started_in_is_data(
    tmp_path: Path, command: tuple[str, ...], kept: bool
) -> None:
    tree: Tree = {
        "/bin/sh": File(ELF, 0o755),
        "/usr/bin/git": File(ELF, 0o755),
        "/app/run.sh": script("git log"),
        "/app/.git/HEAD": "ref: refs/heads/main",
        "/app/.git/refs/heads/main": "1",
        "/app/src/a": "",
    }
    config = ImageConfig(cmd=command, working_dir="/app/src")
    world = make_world(tmp_path, tree, config=config)
    found = {keep.entry.path for keep in derive_plan(world).keeps}
    assert ("/app/.git/refs/heads/main" in found) is kept
    world.rootfs.close()


@pytest.mark.parametrize(
    ("text", "name", "others"),
    [
        ('call("git", *words)\nrun("request-pull", url)\n', "git-request-pull", PERL),
        ("repository.git.request_pull(url)\n", "git-request-pull", PERL),
        ('git(\n    "daemon")\n', "git-daemon", set()),
        ("# the git-daemon of this machine\n", "git-daemon", set()),
    ],
)
def test_a_left_out_subcommand_that_the_code_around_a_call_of_git_names(
    tmp_path: Path, text: str, name: str, others: set[str]
) -> None:
    tree: dict[str, Member] = {"/app/run.sh": script("git log"), "/app/lib/a.py": text}
    found, _ = packaged(tmp_path, Level.TIGHT, tree)
    assert {f"{CORE}/{name}", *others} <= found
    assert f"{CORE}/git-shell" not in found


@pytest.mark.parametrize(
    "path", ["/app/node_modules/a/a.js", "/other/a.py", f"{CORE}/a.py", "/app/a.py"]
)
def test_words_that_do_not_call_git_and_code_elsewhere_bring_nothing(
    tmp_path: Path, path: str
) -> None:
    words = 'shell = "shell"  # digit-shell, git-shell-prompt, the daemon'
    text = words if path == "/app/a.py" else 'git("shell")'
    tree: dict[str, Member] = {"/app/run.sh": script(f"git log\ncat {path}"), path: text}
    tree["/var/lib/dpkg/info/git.list"] = "/usr/bin/git\n" + "\n".join(
        path for path in (*PACKAGES, f"{CORE}/a.py") if path.startswith(CORE)
    )
    assert f"{CORE}/git-shell" not in packaged(tmp_path, Level.TIGHT, tree)[0]


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("text", ["git log", "git subtree pull"])
def test_subcommands_of_people_are_left_out_at_tight(
    tmp_path: Path, level: Level, text: str
) -> None:
    """And what git's scripts call on other systems: find for MINGW."""
    scripts = {
        f"{CORE}/git-subtree": "",
        f"{CORE}/git-sh-setup": "case $(uname -s) in *MINGW*) find .;; esac\n",
    }
    tree: dict[str, Member] = {
        "/app/run.sh": script(text),
        "/usr/bin/find": File(ELF, 0o755),
        **{path: script(code) for path, code in scripts.items()},
    }
    packages = debian(
        {
            "git": ("", {"/usr/bin/git": File(ELF, 0o755), **{p: tree[p] for p in scripts}}),
            "findutils": ("", {"/usr/bin/find": File(ELF, 0o755)}),
        }
    )
    found, plan = packaged(tmp_path, level, {**packages, **tree})
    assert (f"{CORE}/git-subtree" in found) is (level is not Level.TIGHT or "subtree" in text)
    assert f"{CORE}/git-sh-setup" in found
    assert ("/usr/bin/find" in found) is (level is not Level.TIGHT)
    said = [p for p in plan.problems if "git-subtree" in p.message]
    assert len(said) == (level is Level.TIGHT and "subtree" not in text)
