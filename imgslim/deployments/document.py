"""YAML files as plain data, and fields of it with the types that they must have.

Every scalar is read as the string that the file has: a word of a command line is never a number, a
date or one of YAML 1.1's booleans (``yes``, ``on``). Only null and merge keys (``<<``) are told
apart. Tags (Compose's ``!override``) are passed over, ``!reset`` is null.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from imgslim.errors import UsageError


class _Loader(yaml.SafeLoader):
    """SafeLoader without the guesses at what a plain scalar might be."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])


def _untagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if suffix == "reset":
        return None
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _untagged)


def read_documents(path: str, option: str) -> list[Any]:
    """The documents of a YAML (or JSON) file that ``option`` names, empty ones left out.

    Raises UsageError for a file that cannot be read or is no YAML.
    """
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{option} {path}: there is no such file", hint="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise UsageError(f"{option} {path}: {reason}", hint="name a YAML file") from error
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(
            f"{path} is no YAML: {_where(error)}",
            hint="a template must be rendered first: helm template, kustomize build",
        ) from error
    return [document for document in documents if document is not None]


def _where(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f"line {mark.line + 1}, " if mark is not None else ""
    return f"{place}{problem or 'nested too deeply'}"


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping of a file, with the place where it stands for what is said about it."""

    file: str
    where: str
    values: Mapping[str, Any]

    @classmethod
    def of(cls, file: str, where: str, value: Any) -> Fields:
        """Raises UsageError where ``value`` is no mapping; null is an empty one."""
        if value is not None and not isinstance(value, Mapping):
            raise UsageError(f"{file}: {where or 'the file'} is no mapping", hint=_SHAPE)
        return cls(file, where, value or {})

    def mapping(self, key: str) -> Fields:
        return Fields.of(self.file, self._at(key), self.values.get(key))

    def rows(self, key: str) -> list[Fields]:
        """The mappings of a list; none where there is no list."""
        rows = self.values.get(key)
        if rows is not None and not isinstance(rows, list):
            raise self.wrong(key, "a list")
        return [
            Fields.of(self.file, f"{self._at(key)}[{index}]", row)
            for index, row in enumerate(rows or ())
        ]

    def text(self, key: str) -> str:
        """A string; "" where there is none."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value or ""

    def words(self, key: str) -> tuple[str, ...] | None:
        """A command line: a list as it is, a string split as a shell would; None without one."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, str):
            try:
                return tuple(shlex.split(value))
            except ValueError as error:
                raise UsageError(
                    f"{self.file}: {self._at(key)}: {error}", hint="quote it as a shell would"
                ) from None
        if not isinstance(value, Sequence) or not all(isinstance(w, str | None) for w in value):
            raise self.wrong(key, "a list of strings")
        return tuple(word or "" for word in value)

    def wrong(self, key: str, expected: str) -> UsageError:
        return UsageError(f"{self.file}: {self._at(key)} is not {expected}", hint=_SHAPE)

    def _at(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key


_SHAPE = "see what the format expects there"
