"""Compose files: the services of a project (compose-spec), as ``docker compose config`` has them.

``include`` and ``extends`` are followed, files are merged. Not read are ``env_file`` of a service
and what a Dockerfile that the project builds would say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from imgslim.deployments.document import Fields, read_documents
from imgslim.deployments.interpolation import Variables, parse_env_file
from imgslim.errors import UsageError
from imgslim.model.service import Probe, Service

_HOOKS = ("post_start", "pre_stop")
_SHELL_FORM = "CMD-SHELL"
_DOLLAR = "write $$ for a dollar sign"
_TEST_FORMS = (_SHELL_FORM, "CMD", "NONE")

_Values = Mapping[str, Any]


def load_compose(
    paths: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[Service, ...]:
    """The services of the project that ``paths`` make up, a later file over the earlier ones.

    Variables come from ``environment`` (default: this process's own, as Compose has it), then from
    ``.env`` beside the first file. Raises UsageError for what cannot be read or has another shape.
    """
    values = os.environ if environment is None else environment
    folder = Path(paths[0]).parent
    values = {**_env_file(folder / ".env"), **values}
    project: dict[str, _Values] = {}
    name = ""
    for path in paths:
        own_name, services = _read(path, values, ())
        name = own_name or name
        for key, service in services.items():
            project[key] = _merged(project[key], service) if key in project else service
    name = values.get("COMPOSE_PROJECT_NAME") or name or folder.resolve().name
    source = "+".join(PurePath(path).name for path in paths)
    if not project:
        raise UsageError(f"{source} has no services", hint="name a Compose file")
    return tuple(
        _service(source, key, service, _project_name(name), values)
        for key, service in project.items()
    )


def _env_file(path: Path) -> dict[str, str]:
    try:
        return parse_env_file(path.read_text("utf-8"))
    except OSError:
        return {}
    except ValueError as error:
        raise UsageError(f"{path}: {error}", hint=_DOLLAR) from error


def _project_name(text: str) -> str:
    """Compose's normal form of a project's name (compose-go, NormalizeProjectName)."""
    return re.sub(r"[^-_a-z0-9]", "", text.lower()).lstrip("-_")


def _read(
    path: str, values: Mapping[str, str], way: tuple[str, ...]
) -> tuple[str, dict[str, _Values]]:
    """The name and the services of one file, ``extends`` and ``include`` resolved."""
    if path in way:
        raise UsageError(f"{path} includes itself", hint="take one of the includes out")
    name = ""
    included: dict[str, _Values] = {}
    own: dict[str, _Values] = {}
    for document in read_documents(path, "--compose"):
        top = Fields.of(PurePath(path).name, "", document)
        name = top.text("name") or name
        for other in _included(path, top, values):
            included |= _read(other, values, (*way, path))[1]
        services = top.mapping("services")
        for key in services.values:
            # A service that is only named is one: the file is a fragment for another.
            own[key] = _merged(own.get(key, {}), services.mapping(key).values)
    extended = {key: _extended(path, own, key, values, ()) for key in own}
    return name, {**included, **extended}


def _included(path: str, top: Fields, values: Mapping[str, str]) -> Iterator[str]:
    """The files that a file includes, relative to itself."""
    rows = top.values.get("include") or ()
    for row in [rows] if isinstance(rows, str | Mapping) else rows:
        named = row.get("path") if isinstance(row, Mapping) else row
        for text in [named] if isinstance(named, str) else named or ():
            if not isinstance(text, str):
                raise top.wrong("include", "a list of files")
            yield _beside(path, _replaced(path, Variables(values), text))


def _replaced(file: str, variables: Variables, value: Any) -> Any:
    try:
        return variables.apply(value)
    except ValueError as error:
        raise UsageError(f"{file}: {error}", hint=_DOLLAR) from error


def _beside(path: str, other: str) -> str:
    return str(PurePath(path).parent / other)


def _extended(
    path: str,
    services: Mapping[str, _Values],
    key: str,
    values: Mapping[str, str],
    way: tuple[tuple[str, str], ...],
) -> _Values:
    """A service over the one that it extends, which may be in another file."""
    if (path, key) in way:
        raise UsageError(f"{path}: the service {key} extends itself", hint="break the circle")
    service = services.get(key)
    if service is None:
        raise UsageError(f"{path} has no service {key}", hint=f"{way[-1][1]} extends it")
    extends = service.get("extends")
    if not extends:
        return service
    row = {"service": extends} if isinstance(extends, str) else extends
    fields = Fields.of(PurePath(path).name, f"services.{key}.extends", row)
    other, file = fields.text("service"), fields.text("file")
    others = services
    if file:
        path = _beside(path, _replaced(path, Variables(values), file))
        others = {
            name: fields.mapping(name).values
            for document in read_documents(path, "--compose")
            for fields in [Fields.of(PurePath(path).name, "", document).mapping("services")]
            for name in fields.values
        }
    base = _extended(path, others, other, values, (*way, (path, key)))
    return _merged(base, service)


def _merged(base: _Values, over: _Values) -> _Values:
    """One service over another (compose-spec, "Merge"): a mapping is merged with a mapping, lists
    of volumes are one list, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        before = result.get(key)
        if key == "environment":
            result[key] = {**_environment(before), **_environment(value)}
        elif isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(before, value)
        elif key == "volumes" and isinstance(before, list) and isinstance(value, list):
            result[key] = [*before, *value]
        elif value is not None:
            result[key] = value
    return result


def _environment(value: Any) -> dict[str, Any]:
    """A mapping, or a list of ``NAME=VALUE``; a name alone is passed on from outside."""
    if isinstance(value, Mapping):
        return dict(value)
    rows = (str(row).partition("=") for row in value or ())
    return {name: text if sign else None for name, sign, text in rows}


def _service(
    source: str, name: str, values: _Values, project: str, environment: Mapping[str, str]
) -> Service:
    variables = Variables(environment)
    where = f"services.{name}"
    # What else a service says may be of any shape.
    fields = Fields.of(
        source, where, {key: _replaced(source, variables, values.get(key)) for key in _READ}
    )
    # A tag that is not known from here may be any: "app:${TAG}".
    image = fields.text("image").rstrip(":")
    env = {
        name: environment.get(name) if value is None else value
        for name, value in _environment(fields.values.get("environment")).items()
    }
    return Service(
        source,
        name,
        (name,),
        (image,)
        if image
        else (f"{project}-{name}", f"{project}_{name}")
        if values.get("build")
        else (),
        fields.words("entrypoint"),
        fields.words("command"),
        tuple(_probes(fields)),
        tuple((name, str(value)) for name, value in env.items() if value is not None),
        fields.text("working_dir"),
        tuple(_mounts(fields)),
        tuple(variables.unset),
    )


_READ = (
    "image",
    "entrypoint",
    "command",
    "healthcheck",
    "environment",
    "working_dir",
    "volumes",
    *_HOOKS,
)


def _probes(fields: Fields) -> Iterator[Probe]:
    check = fields.mapping("healthcheck")
    test = check.values.get("test")
    if check.text("disable") != "true" and test:
        if isinstance(test, str):
            yield Probe("healthcheck", (test,), in_shell=True)
        else:
            form, *words = check.words("test") or ("NONE",)
            if form not in _TEST_FORMS:
                raise check.wrong("test", f"a list that starts with {', '.join(_TEST_FORMS)}")
            if form != "NONE" and words:
                yield Probe("healthcheck", tuple(words), in_shell=form == _SHELL_FORM)
    for hook in _HOOKS:
        for row in fields.rows(hook):
            argv = row.words("command")
            if argv:
                yield Probe(hook, argv)


def _mounts(fields: Fields) -> Iterator[str]:
    """The targets of volumes: of ``SOURCE:TARGET[:MODE]``, of a target alone, and of mappings."""
    for row in fields.values.get("volumes") or ():
        if isinstance(row, Mapping):
            yield str(row.get("target") or "")
        else:
            yield next((part for part in str(row).split(":")[1:2]), str(row))
