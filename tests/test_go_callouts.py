"""What Go sources say about the programs that they start."""

from __future__ import annotations

import pytest

from imgslim.runtimes.go_callouts import started_programs


@pytest.mark.parametrize(
    ("source", "commands"),
    [
        ('out, err := exec.Command("/usr/bin/sum", "a b").Output()', [("/usr/bin/sum", "a b")]),
        ('exec.Command("convert", input, "x")', [("convert",)]),
        ('exec.CommandContext(r.Context(), "git", "log")', [("git", "log")]),
        ("exec.CommandContext(ctx,\n\t`sh`, `-c`, `ls | wc`)", [("sh", "-c", "ls | wc")]),
        ('if _, err := exec.LookPath("ffmpeg"); err != nil {', [("ffmpeg",)]),
        (r'exec.Command("sh", "-c", "echo \"hi\"")', [("sh", "-c", 'echo "hi"')]),
        ("exec.Command(name, args...)", []),
        ('http.Command("curl")', []),
    ],
)
def test_literal_commands_are_found(source: str, commands: list[tuple[str, ...]]) -> None:
    assert list(started_programs(source)) == commands
