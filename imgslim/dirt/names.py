"""Files that are dirt by their name: histories, private keys, logins of tools."""

from __future__ import annotations

import re

from imgslim.dirt.rules import FileRule, file_rules, name_rules
from imgslim.dirt.texts import find_in_text
from imgslim.model import Entry
from imgslim.rootfs import Rootfs

HEAD_BYTES = 64 << 10
"""What is read of a file to see whether it is what its name says."""

_SETTING = re.compile(r"^\s*(?:export\s+)?(?P<name>[A-Za-z_][\w.-]*)\s*[=:]\s*(?P<value>.*?)\s*$")


def rule_for(rootfs: Rootfs, entry: Entry) -> FileRule | None:
    """The first row that a stored file (not an empty one) is one of; of its contents only the start
    is read, and only where a row wants to see it."""
    head: bytes | None = None
    for rule in file_rules().of(entry.path):
        if rule.contains is None and not rule.named:
            return rule
        if head is None:
            head = rootfs.read_bytes(entry, HEAD_BYTES)
        if _says_so(rule, head):
            return rule
    return None


def is_candidate(entry: Entry) -> bool:
    """Whether the name alone makes a file worth a look."""
    return bool(file_rules().of(entry.path))


def _says_so(rule: FileRule, head: bytes) -> bool:
    if rule.contains is not None:
        return rule.contains.search(head) is not None
    return any(_sets_secret(line) for line in head.decode("utf-8", "replace").splitlines())


def _sets_secret(line: str) -> bool:
    match = _SETTING.match(line)
    if match is None:
        return False
    is_named = name_rules().is_secret_word(match["name"], match["value"])
    return is_named or bool(find_in_text(match["value"]))
