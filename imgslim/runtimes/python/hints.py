"""Module names in text: string constants, words of commands, values of variables, config files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from imgslim.model import Distribution
from imgslim.packages.pypi import normalise_name
from imgslim.runtimes.python.source import Code
from imgslim.runtimes.python.tables import hidden

_REFERENCE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?::[A-Za-z_][\w.]*)?(?:\(.*\))?")
_DOTTED = re.compile(rb"(?<![\w./@-])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?![\w/@-])")
_URL = re.compile(r"([A-Za-z][\w]*)(?:\+([A-Za-z]\w*))?://")
_ENTRY_POINT = re.compile(
    rb"""load_entry_point\(\s*['"]([\w.-]+)[^'"]*['"],\s*['"]([\w.-]+)['"],\s*['"]([^'"]+)['"]"""
)
_SEPARATORS = re.compile(r"[\s,;=\"']+")
_LONGEST_REFERENCE = 200


def reference(text: str) -> str | None:
    """The module of ``package.module`` or ``package.module:attribute``; None for other text."""
    if len(text) > _LONGEST_REFERENCE:
        return None
    match = _REFERENCE.fullmatch(text)
    return match[1] if match else None


def modules_run(code: Code) -> list[str]:
    """The names in a source that has ``-m`` as a word of its own (``[sys.executable, "-m", x]``):
    an interpreter that it starts may run any of them."""
    texts = dict.fromkeys(text for text, _ in code.strings)
    return [name for text in texts if (name := reference(text))] if "-m" in texts else []


def entry_point_modules(data: bytes, distributions: Iterable[Distribution]) -> Iterator[str]:
    """The modules of the entry points that a script loads by their names, as those do that
    setuptools wrote for eggs (``load_entry_point("dist==1.0", "console_scripts", "name")``)."""
    loaded = {tuple(part.decode() for part in match) for match in _ENTRY_POINT.findall(data)}
    wanted = {(normalise_name(dist), group, name) for dist, group, name in loaded}
    for dist in distributions if wanted else ():
        for point in dist.entry_points:
            if (dist.name, point.group, point.name) in wanted:
                yield point.value.partition(":")[0].strip()


def word_references(text: str) -> Iterator[str]:
    """The modules that the words of a command or a variable's value may name."""
    for word in _SEPARATORS.split(text):
        found = reference(word)
        if found:
            yield found


def dotted_names(data: bytes) -> set[str]:
    """The names with at least one dot in a text file, paths and host names with a dash aside."""
    return {name.decode("ascii", "replace") for name in _DOTTED.findall(data)}


def url_modules(text: str) -> Iterator[str]:
    """The driver modules that the URLs in ``text`` stand for: by scheme, and
    ``dialect+driver://`` by the driver's own name (docs.sqlalchemy.org, Database URLs)."""
    if "://" not in text:
        return
    table = hidden().url_modules
    for dialect, driver in _URL.findall(text):
        whole = f"{dialect}+{driver}"
        if driver:
            yield driver
            yield from table.get(whole, table.get(driver, ()))
        else:
            yield from table.get(dialect, ())
