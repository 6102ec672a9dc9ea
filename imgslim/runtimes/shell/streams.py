"""What flows into and out of commands: pipes, redirections, here-documents, substitutions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imgslim.commands import join, name_of
from imgslim.runtimes.shell.printing import Output, capturing, text_in
from imgslim.runtimes.shell.scope import LONGEST_TEXT, Word, distinct
from imgslim.runtimes.shell.syntax import WORD_TYPES, pieces
from imgslim.runtimes.syntax_trees import text_of
from imgslim.tables import load_table

if TYPE_CHECKING:
    from tree_sitter import Node

    from imgslim.runtimes.shell.interpreter import Interpreter


@contextmanager
def reading(shell: Interpreter, texts: Sequence[str] | None) -> Iterator[None]:
    """Commands inside have ``texts`` on their standard input; None: what they had before."""
    if texts is None:
        yield
        return
    scope, before = shell.scope, shell.scope.stdin
    scope.stdin = distinct(text[:LONGEST_TEXT] for text in texts)
    try:
        yield
    finally:
        scope.stdin = before


def pipeline(shell: Interpreter, node: Node) -> None:
    """``a | b``: each stage in a subshell, with what the one before prints."""
    _stages(shell, node.named_children, None)


def _stages(shell: Interpreter, stages: Sequence[Node], texts: Sequence[str] | None) -> None:
    *before, last = stages
    for stage in before:
        output = Output()
        with shell.subshell(), reading(shell, texts), capturing(shell, output):
            shell.visit(stage)
        texts = output.texts
    with shell.subshell(), reading(shell, texts):
        shell.visit(last)


def substitute(shell: Interpreter, node: Node) -> tuple[Word, ...]:
    """What ``$(…)`` may print, where that is plain; its commands are noted in any case."""
    output = Output()
    with shell.subshell(), capturing(shell, output):
        for child in node.named_children:
            if child.type == "file_redirect":
                # $(< FILE)
                output.texts += _input(shell, child, _values(shell, child)) or ()
            else:
                shell.visit(child)
    return distinct(output.words(text_of(node))) or (Word(text_of(node), known=False),)


def redirected(shell: Interpreter, node: Node) -> None:
    """A statement with redirections; here-documents may also hold the rest of its line."""
    body = node.child_by_field_name("body")
    parts = [c for c in node.named_children if body is None or c.id != body.id]
    later = [c for p in parts if p.type == "heredoc_redirect" for c in p.named_children]
    redirects = [c for c in (*parts, *later) if c.type.endswith("_redirect")]
    texts: Sequence[str] | None = None
    target: list[str] | None = None
    for redirect in redirects:
        values = _values(shell, redirect)
        texts = _input(shell, redirect, values) or texts
        if target is None:
            target = _target(shell, redirect, values)
    rest = [c for c in later if c.type not in _OF_A_HEREDOC and not c.type.endswith("_redirect")]
    pipes = [stage for c in rest if c.type == "pipeline" for stage in c.named_children]
    output = Output() if target is not None else shell.output
    with capturing(shell, output):
        if body is not None and pipes:
            _stages(shell, [body, *pipes], texts)
        elif body is not None:
            with reading(shell, texts):
                shell.visit(body)
    if target and output is not None:
        write_texts(shell, target, output.texts)
    for other in rest:
        if other.type != "pipeline":
            shell.visit(other)


_OF_A_HEREDOC = ("heredoc_start", "heredoc_body", "heredoc_end")


def _values(shell: Interpreter, redirect: Node) -> Sequence[Word]:
    """The last word of a redirection: a file, a text, what a process substitution prints."""
    words = [c for c in redirect.named_children if c.type in WORD_TYPES]
    if not words:
        return ()
    if words[-1].type == "process_substitution":
        return substitute(shell, words[-1])
    values = shell.values(words[-1])
    is_file = redirect.type == "file_redirect"
    shell.mention(values, relative=is_file and any(c.type == "<" for c in redirect.children))
    return values


def _input(shell: Interpreter, redirect: Node, values: Sequence[Word]) -> Sequence[str] | None:
    """What a redirection gives to standard input; None when it does not, or is unknown."""
    if redirect.type == "heredoc_redirect":
        bodies = [c for c in redirect.named_children if c.type == "heredoc_body"]
        return [text for body in bodies for text in _heredoc_texts(shell, redirect, body)]
    if redirect.type == "herestring_redirect":
        return [value.text for value in values]
    if not any(child.type == "<" for child in redirect.children):
        return None
    known = [value.text for value in values if value.known]
    if any(child.type == "process_substitution" for child in redirect.named_children):
        return known or None
    return [text for path in known for text in text_in(shell, path)] or None


def _heredoc_texts(shell: Interpreter, redirect: Node, body: Node) -> list[str]:
    """A here-document's text; its variables replaced unless its word is quoted."""
    start = next(c for c in redirect.named_children if c.type == "heredoc_start")
    strip = any(c.type == "<<-" for c in redirect.children)
    shell.mention([Word(text_of(body))])
    if any(quote in text_of(start) for quote in "'\"\\"):
        texts = [text_of(body)]
    else:
        texts = [""]
        for part in pieces(body):
            names = (part,) if isinstance(part, str) else _values_in(shell, part)
            texts = list(distinct(text + name for text in texts for name in names))
    if strip:
        texts = ["\n".join(line.lstrip("\t") for line in text.split("\n")) for text in texts]
    return texts


def _values_in(shell: Interpreter, part: Node) -> Sequence[str]:
    if part.type not in WORD_TYPES:
        return (text_of(part),)
    values = shell.values(part)
    return [value.text or text_of(part) for value in values]


def _target(shell: Interpreter, redirect: Node, values: Sequence[Word]) -> list[str] | None:
    """The files that standard output goes to, known by name; None: it stays where it is."""
    operators = {child.type for child in redirect.children if not child.is_named}
    if redirect.type != "file_redirect" or not operators & _OUTWARD:
        return None
    descriptors = [text_of(c) for c in redirect.children if c.type == "file_descriptor"]
    if descriptors and descriptors != ["1"]:
        return None
    directory = shell.scope.directories[0]
    paths = [join(directory, value.text) for value in values if value.known and value.text]
    return [] if ">&" in operators else paths


_OUTWARD = {">", ">>", ">|", "&>", "&>>", ">&"}


def write_texts(shell: Interpreter, paths: Sequence[str], texts: Sequence[str]) -> None:
    """A command of the script writes ``texts`` to one of ``paths``: later ones may run that."""
    for path in paths:
        if texts and not path.startswith("/dev/"):
            old = shell.scope.written.get(path, ())
            shell.scope.written[path] = distinct((*old, *(text[:LONGEST_TEXT] for text in texts)))


def run_written(shell: Interpreter, words: Sequence[Word], node: Node) -> int:
    """Run a script that this one has written: ``/tmp/x.sh``, or ``sh /tmp/x.sh``.

    How many of the words are understood with that: none, the script's own, or all.
    """
    rest = [word.text for word in words]
    is_shell = name_of(rest[0]) in load_table("shell")["shells"]["names"]
    if is_shell:
        del rest[0]
        while rest and rest[0].startswith("-") and "c" not in rest[0]:
            del rest[0]
    path = join(shell.scope.directories[0], rest[0]) if rest and "/" in rest[0] else ""
    texts = shell.scope.written.get(path)
    if texts is None or shell.world.rootfs.lookup(path) is not None:
        return 0
    for text in texts:
        with shell.subshell():
            shell.scope.params = (tuple(words[len(words) - len(rest) + 1 :]),)
            shell.interpret(text.encode("utf-8", "surrogateescape"), line=shell.line(node))
    return len(rest)


def herestring(shell: Interpreter, node: Node) -> list[str]:
    """The texts of ``<<< WORD``; none for any other node."""
    if node.type != "herestring_redirect":
        return []
    return list(_input(shell, node, _values(shell, node)) or ())


def redirect(shell: Interpreter, node: Node) -> None:
    """A redirection by itself: its paths, and the commands that it substitutes."""
    _input(shell, node, _values(shell, node))
