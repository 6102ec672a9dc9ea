"""Compose files: the services of a project (compose-spec), as ``docker compose config`` has them.

Not read is what a Dockerfile that the project builds would say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from imgslim.deployments.document import Fields
from imgslim.deployments.env_files import parse_env_file, parse_raw_env_file
from imgslim.deployments.project import (
    DOLLAR,
    HOOKS,
    EnvFile,
    RawService,
    normal_name,
    read_project,
    variables_of,
)
from imgslim.errors import UsageError
from imgslim.model.service import Probe, Service

_SHELL_FORM = "CMD-SHELL"
_TEST_FORMS = (_SHELL_FORM, "CMD", "NONE")


def load_compose(
    paths: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[Service, ...]:
    """The services of the project that ``paths`` make up, a later file over the earlier ones.

    Variables come from ``environment`` (default: this process's own, as Compose has it), then from
    ``.env`` beside the first file. Raises UsageError for what cannot be read or has another shape.
    """
    project = read_project(paths, environment)
    source = "+".join(PurePath(path).name for path in paths)
    if not project.services:
        raise UsageError(f"{source} has no services", hint="name a Compose file")
    name = normal_name(project.name or Path(paths[0]).parent.resolve().name)
    return tuple(_service(source, key, raw, name) for key, raw in project.services.items())


def _service(source: str, name: str, raw: RawService, project: str) -> Service:
    fields = Fields.of(source, f"services.{name}", raw.values)
    # A tag that is not known from here may be any: "app:${TAG}".
    image = fields.text("image").rstrip(":")
    built = (f"{project}-{name}", f"{project}_{name}") if raw.values.get("build") else ()
    unset = dict.fromkeys(raw.unset)
    env, missing = _environment(fields, raw, unset)
    return Service(
        source,
        name,
        (name,),
        (image,) if image else built,
        fields.words("entrypoint"),
        fields.words("command"),
        tuple(_probes(fields)),
        tuple(env.items()),
        fields.text("working_dir"),
        tuple(_mounts(fields)),
        tuple(unset),
        unknown=tuple(f"env_file {file.path}" for file in missing),
    )


def _environment(
    fields: Fields, raw: RawService, unset: dict[str, None]
) -> tuple[dict[str, str], list[EnvFile]]:
    """The variables of a service, and the env files that are not here: ``environment`` goes before
    the env files, a later one of these before an earlier (Docker's "Environment variables
    precedence"). What is passed on from outside and not set there is in no container."""
    own = {
        name: raw.outside.get(name) if value is None else value
        for name, value in variables_of(fields.values.get("environment")).items()
    }
    known = {name: str(value) for name, value in own.items() if value is not None}
    found: dict[str, str] = {}
    missing = []
    for file in raw.env_files:
        text = _read(file.path)
        if text is not None:
            found |= _parsed(file, text, {**found, **known, **raw.outside}, unset)
        elif file.required:
            missing.append(file)
    return {**{name: found[name] for name in found if name not in own}, **known}, missing


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise UsageError(f"env_file {path}: {reason}", hint="name a readable file") from error


def _parsed(
    file: EnvFile, text: str, outside: Mapping[str, str], unset: dict[str, None]
) -> dict[str, str]:
    if file.format == "raw":
        return parse_raw_env_file(text, outside)
    try:
        return parse_env_file(text, outside, unset)
    except ValueError as error:
        raise UsageError(f"env_file {file.path}: {error}", hint=DOLLAR) from error


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
    for hook in HOOKS:
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
