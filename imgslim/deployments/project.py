"""A Compose project as one mapping of services: files merged, ``include`` and ``extends`` followed,
variables replaced (compose-spec, "Merge", "Include", "Extend", "Interpolation").

Services of every profile are in it: any of them may be started.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgslim.deployments.document import Fields, read_documents
from imgslim.deployments.env_files import parse_env_file
from imgslim.deployments.interpolation import Variables
from imgslim.errors import UsageError

HOOKS = ("post_start", "pre_stop")
_BUILD = "build"
READ = (
    "image",
    _BUILD,
    "entrypoint",
    "command",
    "healthcheck",
    "environment",
    "env_file",
    "working_dir",
    "volumes",
    "extends",
    *HOOKS,
)
"""The fields of a service that say what runs in it; what else there is may be of any shape.
Of ``build`` only that it is there."""

DOLLAR = "write $$ for a dollar sign"

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EnvFile:
    """A row of ``env_file``: ``path`` from here, and whether Compose refuses to do without."""

    path: str
    required: bool
    format: str


@dataclass(frozen=True, slots=True)
class RawService:
    """The fields of a service by name, variables replaced. ``unset`` are those without a value;
    ``outside`` is what a variable without a value of its own is passed on from."""

    values: Values
    env_files: tuple[EnvFile, ...] = ()
    unset: tuple[str, ...] = ()
    outside: Mapping[str, str] = field(default_factory=dict)

    def under(self, over: RawService) -> RawService:
        """This service with another one over it."""
        files = {file.path: file for file in (*self.env_files, *over.env_files)}
        return RawService(
            merged(self.values, over.values),
            tuple(files.values()),
            tuple(dict.fromkeys((*self.unset, *over.unset))),
            {**self.outside, **over.outside},
        )


@dataclass(frozen=True, slots=True)
class Project:
    """``name`` as the files and the environment have it ("": neither), and the services by key."""

    name: str
    services: Mapping[str, RawService]


def read_project(paths: Sequence[str], environment: Mapping[str, str] | None = None) -> Project:
    """The project that ``paths`` make up, a later file over the earlier ones.

    Variables come from ``environment`` (default: this process's own, as Compose has it), then from
    ``.env`` beside the first file. Raises UsageError for what cannot be read or has another shape.
    """
    own = os.environ if environment is None else environment
    folder = str(Path(paths[0]).parent)
    values = _with_env_files(own, [f"{folder}/.env"])
    project: dict[str, RawService] = {}
    name = ""
    for path in paths:
        own_name, services = _Reader(path, folder, values).read()
        name = own_name or name
        for key, service in services.items():
            project[key] = project[key].under(service) if key in project else service
    return Project(values.get("COMPOSE_PROJECT_NAME") or name, project)


def _with_env_files(outside: Mapping[str, str], paths: Sequence[str]) -> dict[str, str]:
    """What a file's variables are replaced by: ``outside``, then env files that are there."""
    found: dict[str, str] = {}
    for path in paths:
        try:
            text = Path(path).read_text("utf-8-sig")
        except OSError:
            continue
        except UnicodeDecodeError:
            raise UsageError(f"{path} is not UTF-8", hint="save it as UTF-8") from None
        try:
            found |= parse_env_file(text, {**found, **outside})
        except ValueError as error:
            raise UsageError(f"{path}: {error}", hint=DOLLAR) from error
    return {**found, **outside}


@dataclass(frozen=True, slots=True)
class _Reader:
    """One file of a project. ``folder`` is where relative paths in it start: the first file's
    directory, or that of a file which is included or extended."""

    path: str
    folder: str
    values: Mapping[str, str]
    way: tuple[str, ...] = ()

    def read(self) -> tuple[str, dict[str, RawService]]:
        """The name and the services of the file, ``extends`` and ``include`` resolved."""
        if self.path in self.way:
            raise UsageError(f"{self.path} includes itself", hint="take one of the includes out")
        name = ""
        included: dict[str, RawService] = {}
        for document in read_documents(self.path, "--compose"):
            top = self._fields("", document)
            name = top.text("name") or name
            for reader in self._included(top):
                included |= reader.read()[1]
        own = self.own_services()
        extended = {key: self._extended(own, key, ()) for key in own}
        return name, {**included, **extended}

    def own_services(self) -> dict[str, RawService]:
        """The services of the file as they stand there."""
        own: dict[str, RawService] = {}
        for document in read_documents(self.path, "--compose"):
            services = self._fields("", document).mapping("services")
            for key in services.values:
                # A service that is only named is one: the file is a fragment for another.
                service = self._raw(services.mapping(key))
                own[key] = own[key].under(service) if key in own else service
        return own

    def _fields(self, where: str, value: Any) -> Fields:
        return Fields.of(Path(self.path).name, where, value)

    def _raw(self, service: Fields) -> RawService:
        variables = Variables(self.values)
        read = {
            key: self._replaced(variables, value) if key != _BUILD else value
            for key, value in service.values.items()
            if key in READ
        }
        fields = Fields(service.file, service.where, read)
        files = tuple(self._env_files(fields))
        return RawService(fields.values, files, tuple(variables.unset), self.values)

    def _replaced(self, variables: Variables, value: Any) -> Any:
        try:
            return variables.apply(value)
        except ValueError as error:
            raise UsageError(f"{self.path}: {error}", hint=DOLLAR) from error

    def _env_files(self, service: Fields) -> Iterator[EnvFile]:
        """A path, or a list of paths and of mappings."""
        rows = service.values.get("env_file") or ()
        for row in [rows] if isinstance(rows, str | Mapping) else rows:
            if not isinstance(row, str | Mapping):
                raise service.wrong("env_file", "a path or a list of them")
            named = {"path": row} if isinstance(row, str) else row
            fields = Fields(service.file, f"{service.where}.env_file", named)
            if fields.text("path"):
                required = fields.text("required").lower() != "false"
                yield EnvFile(self._at(fields.text("path")), required, fields.text("format"))

    def _at(self, path: str) -> str:
        return str(Path(self.folder) / Path(path).expanduser())

    def _included(self, top: Fields) -> Iterator[_Reader]:
        """The files that this one includes, each with an environment of its own besides ours."""
        rows = top.values.get("include") or ()
        for row in [rows] if isinstance(rows, str | Mapping) else rows:
            named = self._replaced(Variables(self.values), row)
            fields = named if isinstance(named, Mapping) else {"path": named}
            paths, env_files = (_texts(top, fields.get(key)) for key in ("path", "env_file"))
            at = [self._at(path) for path in paths]
            home = fields.get("project_directory")
            folder = self._at(home) if isinstance(home, str) else str(Path(*at[:1]).parent)
            values = _with_env_files(
                self.values, [self._at(path) for path in env_files] or [f"{folder}/.env"]
            )
            yield from (_Reader(path, folder, values, (*self.way, self.path)) for path in at)

    def _extended(
        self, services: Mapping[str, RawService], key: str, way: tuple[tuple[str, str], ...]
    ) -> RawService:
        """A service over the one that it extends, which may be in another file."""
        if (self.path, key) in way:
            raise UsageError(
                f"{self.path}: the service {key} extends itself", hint="break the circle"
            )
        service = services.get(key)
        if service is None:
            raise UsageError(f"{self.path} has no service {key}", hint=f"{way[-1][1]} extends it")
        extends = service.values.get("extends")
        if not extends:
            return service
        row = {"service": extends} if isinstance(extends, str) else extends
        fields = self._fields(f"services.{key}.extends", row)
        other, file = fields.text("service"), fields.text("file")
        reader, others = self, services
        if file:
            path = self._at(file)
            reader = _Reader(path, str(Path(path).parent), self.values, self.way)
            others = reader.own_services()
        return reader._extended(others, other, (*way, (self.path, key))).under(service)


def _texts(top: Fields, value: Any) -> list[str]:
    rows = [value] if isinstance(value, str) else value or []
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise top.wrong("include", "a list of files")
    return rows


def merged(base: Values, over: Values) -> Values:
    """One service's fields over another's: a mapping is merged with a mapping, volumes and hooks
    are one list, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        before = result.get(key)
        if key == "environment":
            result[key] = {**variables_of(before), **variables_of(value)}
        elif isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = merged(before, value)
        elif isinstance(before, list) and isinstance(value, list) and key in _JOINED:
            result[key] = [*before, *value]
        elif value is not None:
            result[key] = value
    return result


_JOINED = frozenset({"volumes", *HOOKS})


def variables_of(value: Any) -> dict[str, Any]:
    """A mapping, or a list of ``NAME=VALUE``; a name alone is passed on from outside."""
    if isinstance(value, Mapping):
        return dict(value)
    rows = (str(row).partition("=") for row in value or ())
    return {name: text if sign else None for name, sign, text in rows}


def normal_name(text: str) -> str:
    """Compose's normal form of a project's name (compose-go, NormalizeProjectName)."""
    return re.sub(r"[^-_a-z0-9]", "", text.lower()).lstrip("-_")
