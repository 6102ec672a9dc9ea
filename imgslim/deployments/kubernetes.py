"""Kubernetes manifests: every container of every pod template in a file.

Pods are found by their shape and not by a list of kinds: a Deployment, a Job, a CronJob and most
custom resources that run pods hold the same pod template (Kubernetes API, PodTemplateSpec).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from imgslim.deployments.document import Fields, read_documents
from imgslim.deployments.interpolation import expand_references
from imgslim.errors import UsageError
from imgslim.model.service import Probe, Service

_POD_SPECS = (
    ("spec", "jobTemplate", "spec", "template", "spec"),
    ("spec", "template", "spec"),
    ("template", "spec"),
    ("spec",),
)
"""Where the pod's spec is: of a CronJob, of what has a template, of a PodTemplate, of a Pod."""

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_HOOKS = ("postStart", "preStop")


def load_manifests(path: str) -> tuple[Service, ...]:
    """The containers of a manifest, which may have several documents.

    Raises UsageError where the file cannot be read, has another shape, or runs nothing.
    """
    documents = read_documents(path, "--k8s")
    file = PurePath(path).name
    found = tuple(
        service for document in documents for service in _services(Fields.of(file, "", document))
    )
    if not found:
        raise UsageError(
            f"{path} has no pod: no document in it has containers",
            hint="name the manifest of a Deployment, Job, Pod, …",
        )
    return found


def _services(document: Fields) -> Iterator[Service]:
    if isinstance(document.values.get("items"), list):
        for row in document.rows("items"):
            yield from _services(row)
        return
    spec = _pod_spec(document)
    if spec is None:
        return
    metadata = document.mapping("metadata")
    workload = metadata.text("name") or metadata.text("generateName")
    kind = document.text("kind")
    for key in _CONTAINERS:
        for container in spec.rows(key):
            yield _service(container, kind, workload)


def _pod_spec(document: Fields) -> Fields | None:
    for way in _POD_SPECS:
        fields: Any = document.values
        for key in way:
            fields = fields.get(key) if isinstance(fields, Mapping) else None
        if isinstance(fields, Mapping) and isinstance(fields.get("containers"), list):
            return Fields(document.file, ".".join(way), fields)
    return None


def _service(container: Fields, kind: str, workload: str) -> Service:
    name = container.text("name")
    image = container.text("image")
    literal = {row.text("name"): row.text("value") for row in container.rows("env")}
    env = _environment(container)
    return Service(
        container.file,
        f"{kind}/{workload} {name}".strip("/ "),
        tuple(dict.fromkeys((name, workload, f"{workload}/{name}", f"{kind}/{workload}"))),
        (image,) if image else (),
        _expanded(container, "command", env),
        _expanded(container, "args", env),
        tuple(_probes(container, literal)),
        tuple(env.items()),
        container.text("workingDir"),
        tuple(row.text("mountPath") for row in container.rows("volumeMounts")),
    )


def _environment(container: Fields) -> dict[str, str]:
    """The variables whose values the manifest has; a value may refer to those before it."""
    env: dict[str, str] = {}
    for row in container.rows("env"):
        if "valueFrom" not in row.values:
            env[row.text("name")] = expand_references(row.text("value"), env)
    return env


def _expanded(fields: Fields, key: str, env: Mapping[str, str]) -> tuple[str, ...] | None:
    """A list of words; an empty one is as none (the API's ``omitempty``)."""
    if isinstance(fields.values.get(key), str):
        raise fields.wrong(key, "a list of strings")
    words = fields.words(key)
    return tuple(expand_references(word, env) for word in words) if words else None


def _probes(container: Fields, env: Mapping[str, str]) -> Iterator[Probe]:
    """Commands of probes and hooks. The kubelet replaces references in those of probes, by values
    as they are written (ExpandContainerCommandOnlyStatic), and none in those of hooks."""
    lifecycle = container.mapping("lifecycle")
    handlers = [(name, container.mapping(name), env) for name in _PROBES]
    handlers += [(name, lifecycle.mapping(name), {}) for name in _HOOKS]
    for name, handler, values in handlers:
        action = handler.mapping("exec")
        argv = action.words("command") if name in _HOOKS else _expanded(action, "command", values)
        if argv:
            yield Probe(name, argv)
