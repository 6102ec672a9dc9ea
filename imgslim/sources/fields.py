"""JSON from outside, read strictly: a wrong type is an error that names blob and field."""

from __future__ import annotations

import json

from imgslim.errors import ArchiveError

_HINT = "save or pull the image again"


def parse_json(data: bytes, where: str) -> Fields:
    """The JSON object in ``data``; ``where`` names the blob in errors. Raises ArchiveError."""
    return Fields(_decode(data, where), where)


def parse_json_list(data: bytes, where: str) -> tuple[Fields, ...]:
    """The objects of a JSON array in ``data``. Raises ArchiveError."""
    value = _decode(data, where)
    if not isinstance(value, list):
        raise ArchiveError(f"{where} is no JSON array", hint=_HINT)
    return tuple(Fields(item, f"{where}, item {index}") for index, item in enumerate(value))


def _decode(data: bytes, where: str) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else error
        raise ArchiveError(f"{where} is not JSON: {why}", hint=_HINT) from error


class Fields:
    """A JSON object. A field that is missing or ``null`` reads as its type's empty value."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ArchiveError(f"{where} is no JSON object", hint=_HINT)
        self._values: dict[str, object] = value
        self.where = where

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(name, "text")
        return value

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return bool(value)

    def number(self, name: str) -> int:
        value = self._values.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "a whole number")
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of strings, None where there is none."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self._wrong(name, "a list of texts")
        texts = tuple(item for item in value if isinstance(item, str))
        if len(texts) != len(value):
            raise self._wrong(name, "a list of texts")
        return texts

    def words(self, name: str) -> tuple[str, ...] | None:
        """A command: a list of strings, or one string as old engines wrote it (moby, StrSlice)."""
        value = self._values.get(name)
        return (value,) if isinstance(value, str) else self.texts(name)

    def child(self, name: str) -> Fields:
        """An object; an empty one where there is none."""
        value = self._values.get(name)
        return Fields({} if value is None else value, f"{name} in {self.where}")

    def children(self, name: str) -> tuple[Fields, ...]:
        """A list of objects."""
        value = self._values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        return tuple(Fields(item, f"{name} in {self.where}") for item in value)

    def keys(self) -> tuple[str, ...]:
        """The names of all fields, sorted."""
        return tuple(sorted(self._values))

    def _wrong(self, name: str, wanted: str) -> ArchiveError:
        return ArchiveError(f"{name} in {self.where} is not {wanted}", hint=_HINT)
