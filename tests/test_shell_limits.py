"""What shell scripts leave open is said with its line; no script takes long or breaks anything."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from imgslim.model import Problem, Severity
from tests.entrypoints import CASES
from tests.scripts import kept, plan_of, program, script, world_of
from tests.worlds import File, Link, Tree

PROGRAMS = ("a", "b", "gosu", "env", "xargs", "python", "awk", "find")


def problems_of(
    tmp_path: Path, text: str, tree: Tree | None = None, **image: object
) -> list[Problem]:
    files: Tree = {"/entry.sh": script(text, "#!/bin/bash"), **(tree or {})}
    entrypoint = ("/entry.sh", *image.pop("cmd", ()))  # type: ignore[misc]
    world = world_of(tmp_path, files, programs=PROGRAMS, entrypoint=entrypoint, **image)
    return list(plan_of(world).problems)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("exec $CMD", [2]),
        ("\nexec ${CMD}", [3]),
        ("gosu app $CMD", [2]),
        ("gosu app $(a)", [2]),
        ('sh -c "$CMD"', [2]),
        ('a\neval "$CMD"', [3]),
        ("eval $CMD x", []),
        ('. "$CONF"', [2]),
        ("sh $SCRIPT", [2]),
        ("bash $(a).sh", [2]),
        ("a <<X\nx\nX\n$CMD", [5]),
        ("a\nsh -c '\n  b\n  exec $CMD'", [5]),
        ("a\nsh <<'X'\nb\nexec $CMD\nX", [5]),
        ("export CMD=b\nsh -c 'exec $CMD'", []),
        ("CMD=b\nsh -c 'exec $CMD'", [3]),
        ("X=$(a || echo b)\nexec $X", [3]),
        ("X=$(command -v b)\nexec $X", []),
        ('exec "$@"', []),
        ("a $OPTIONS $(b)", []),
        ("later() { $CMD; }", []),
        ("later() { $CMD; }\nlater", [2]),
        ("while read -r line; do $line; done", [2]),
    ],
)
def test_what_only_a_run_knows_is_said_with_its_line(
    tmp_path: Path, text: str, lines: list[int]
) -> None:
    found = [p for p in problems_of(tmp_path, text) if p.code == "unresolved-command"]
    assert {p.message.partition(":")[0] for p in found} == {f"line {n}" for n in lines}
    assert {(p.severity, p.path) for p in found} <= {(Severity.WARNING, "/entry.sh")}


@pytest.mark.parametrize(
    "text",
    [
        "if command -v nowhere >/dev/null; then nowhere; fi",
        "type nowhere 2>/dev/null && nowhere",
        "hash nowhere || exit 1\nnowhere",
        "f() { :; }; export -f f; bash -c f",
        "export PATH=/opt/x:$PATH\ngosu app tool",
        "alias k=b\nk",
        "cat > /tmp/x <<'X'\n#!/bin/sh\nb\nX\n/tmp/x; sh /tmp/x",
        "cd /opt/x && sh -c ./tool",
        "env -C /opt/x ./tool",
    ],
)
def test_what_is_no_missing_command_is_not_reported_as_one(tmp_path: Path, text: str) -> None:
    tree: Tree = {"/opt/x/tool": program(), "/usr/bin/cat": program()}
    said = problems_of(tmp_path, text, tree)
    assert {p.code for p in said} <= {"no-shell", "no-module"}


def test_a_name_that_is_missing_is_said_with_its_line(tmp_path: Path) -> None:
    said = {p.code: p.message for p in problems_of(tmp_path, "a\nnowhere\nif [ x; )) then")}
    assert "nowhere (line 3)" in said["commands-not-in-image"]
    assert said["shell-syntax"].startswith("line ")


def test_lines_of_a_part_that_cannot_be_read_are_read_one_by_one(tmp_path: Path) -> None:
    text = "if true; then\n  x=`a ) )`\n  a | b\nesac\nb"
    world = world_of(
        tmp_path, {"/entry.sh": script(text)}, programs=PROGRAMS, entrypoint=("/entry.sh",)
    )
    assert "/usr/bin/b" in kept(plan_of(world))


def test_a_long_directory_is_followed_file_by_file(tmp_path: Path) -> None:
    tree: Tree = {f"/init.d/{n:03}.sh": File(f"tool{n}\n") for n in range(60)}
    tree |= {f"/usr/bin/tool{n}": program() for n in range(60)}
    tree["/entry.sh"] = script(
        'for f in /init.d/*; do . "$f"; done\nfind /init.d | while read f; do . $f; done'
    )
    world = world_of(tmp_path, tree, programs=PROGRAMS, entrypoint=("/entry.sh",))
    assert {f"/usr/bin/tool{n}" for n in range(60)} <= kept(plan_of(world))


def test_code_on_the_input_of_an_interpreter_goes_to_it_as_an_argument(tmp_path: Path) -> None:
    tree: Tree = {"/entry.sh": script("python - <<X\nimport json\nX\npython -m x <<X\nno\nX")}
    world = world_of(tmp_path, tree, programs=PROGRAMS, entrypoint=("/entry.sh",))
    started = plan_commands(world)
    assert ("python", "-c", "import json\n") in started
    assert not any("no\n" in word for words in started for word in words)


def plan_commands(world: object) -> set[tuple[str, ...]]:
    """The words of all commands that the shell runtime finds in ``/entry.sh``."""
    from imgslim.model import Command
    from imgslim.runtimes.shell import ShellRuntime
    from imgslim.world import World

    assert isinstance(world, World)
    findings = ShellRuntime(world).command_needs(("/bin/sh", "/entry.sh"), "/bin/sh", "<test>")
    return {finding.argv for finding in findings if isinstance(finding, Command)}


def test_busybox_serves_by_links_and_by_name(tmp_path: Path) -> None:
    tree: Tree = {
        "/bin/busybox": File(b"\x7fELF\0httpd\0sh\0awk\0", mode=0o755),
        "/bin/sh": Link("busybox"),
        "/usr/bin/awk": Link("../../bin/busybox"),
        "/usr/bin/wget": Link("../../bin/busybox"),
        "/entry": script("env X=1 awk '{print}' /data\nbusybox sh -c 'exec httpd -f'"),
        "/data": "x",
    }
    tree["/usr/bin/awk"] = Link("../../bin/busybox")
    world = world_of(tmp_path, tree, entrypoint=("/entry",))
    plan = plan_of(world)
    assert {"/bin/busybox", "/bin/sh", "/usr/bin/awk", "/data"} <= kept(plan)
    assert "/usr/bin/wget" not in kept(plan)
    assert not [p for p in plan.problems if "not in the image" in p.message]


def _nested(before: str, after: str, inside: str, count: int) -> str:
    return before * count + inside + after * count


@pytest.mark.parametrize(
    "text",
    [
        'f=\'eval "$f"; eval "$f"\'; eval "$f"',
        _nested("cat < $(", ")", "echo a", 14),
        _nested("cat <<< $(", ")", "echo a", 14),
        _nested("cat < <(", ")", "echo a", 14),
        _nested("for i in {1..256}; do ", "; done", "b $i", 5),
        _nested("for i in x{1..256}; do ", "; done", "b $i", 3),
        "echo " + "{a,b}" * 40,
        "echo " + "{" * 3000,
        "\n".join(["x=a", *['x="$x$x"'] * 40, "$x"]),
        "\n".join(["x=(a b)", *['x+=("${x[@]}")'] * 30, '"${x[@]}"']),
        "x=" + "a" * 4000 + "; echo ${x%%*b*b*b*b*c}",
        "\n".join(f"f{n}() {{ f{n + 1} a$1; f{n + 1} b$1; }}" for n in range(40)) + "\nf0 x",
        'export X="$X:a"; sh /entry.sh; bash /entry.sh 2; . /entry.sh',
        "(" * 4000,
        "$(" * 2000,
    ],
)
def test_no_script_takes_long(tmp_path: Path, text: str) -> None:
    start = time.process_time()
    problems_of(tmp_path, text)
    assert time.process_time() - start < 5


def test_a_long_generated_script_is_followed_to_its_end(tmp_path: Path) -> None:
    part = """
check{n} () {{ status=$1; test $status -eq 0 && status=1; echo "$me: $2" >&2; return $status; }}
for prog in gcc cc "$host-cc{n}"; do
  set dummy $prog; word=$2
  if eval \\${{cache_{n}+:}} false; then echo cached; else
    saved=$IFS; IFS=:
    for dir in $PATH; do
      IFS=$saved
      if check{n} "$dir/$word$ext"; then cache_{n}="$prog"; break 2; fi
    done
  fi
done
case $os in linux*) FLAGS="$FLAGS -O2";; *bsd*) LIBS="$LIBS -l{n}";; esac
cat defs.h - <<_EOF >test.$ext
int main () {{ return `expr {n} + $x`; }}
_EOF
echo "$cache_{n}" | sed 's/x/y/' | tr a-z A-Z >> config.log
x{n}=`echo "$x" | sed "s/a/b/"`"""
    text = "".join(part.format(n=n) for n in range(180)) + "\nexec $CMD"
    last = 2 + text.count("\n")
    assert last > 3000
    found = [p for p in problems_of(tmp_path, text) if p.code == "unresolved-command"]
    assert f"line {last}" in {p.message.partition(":")[0] for p in found}


def test_no_truncated_or_garbled_script_raises(tmp_path: Path) -> None:
    chance = random.Random(4)
    marks = ["${", "$((", "<<E\n", "case x in ", "done", "fi", "[[ ", '"', "'", "`", "{", ")", ";;"]
    texts = []
    for _ in range(150):
        text = chance.choice(CASES).text
        text = text[: chance.randrange(len(text))]
        at = chance.randrange(len(text) + 1)
        texts.append(text[:at] + chance.choice(marks) + text[at:])
    tree: Tree = {f"/s/{n}.sh": script(text) for n, text in enumerate(texts)}
    tree["/entry.sh"] = script("\n".join(f"/s/{n}.sh start" for n in range(len(texts))))
    world = world_of(tmp_path, tree, programs=PROGRAMS, entrypoint=("/entry.sh",))
    assert "/s/149.sh" in kept(plan_of(world))
