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
from imgslim.deployments.kubernetes_values import StoredValues, Variables, variables_of
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


def load_manifests(*paths: str) -> tuple[Service, ...]:
    """The containers of manifests, each of which may have several documents; a ConfigMap or Secret
    in any of them has the variables that the containers take from it.

    Raises UsageError where a file cannot be read, has another shape, or runs nothing.
    """
    documents = {path: _documents(path) for path in paths}
    values = StoredValues.of(document for group in documents.values() for document in group)
    found: list[Service] = []
    for path, group in documents.items():
        services = [service for document in group for service in _services(document, values)]
        if not services:
            raise UsageError(
                f"{path} has no pod: no document in it has containers",
                hint="name the manifest of a Deployment, Job, Pod, …",
            )
        found += services
    return tuple(found)


def _documents(path: str) -> list[Fields]:
    """The documents of a file, those of a List one by one."""
    file = PurePath(path).name
    found = []
    waiting = [Fields.of(file, "", document) for document in read_documents(path, "--k8s")][::-1]
    while waiting:
        document = waiting.pop()
        if isinstance(document.values.get("items"), list):
            waiting += document.rows("items")[::-1]
        else:
            found.append(document)
    return found


def _services(document: Fields, values: StoredValues) -> Iterator[Service]:
    spec = _pod_spec(document)
    if spec is None:
        return
    metadata = document.mapping("metadata")
    workload = metadata.text("name") or metadata.text("generateName")
    kind = document.text("kind")
    for key in _CONTAINERS:
        for container in spec.rows(key):
            variables = variables_of(container, values, metadata.text("namespace"))
            yield _service(container, kind, workload, variables)


def _pod_spec(document: Fields) -> Fields | None:
    for way in _POD_SPECS:
        fields: Any = document.values
        for key in way:
            fields = fields.get(key) if isinstance(fields, Mapping) else None
        if isinstance(fields, Mapping) and isinstance(fields.get("containers"), list):
            return Fields(document.file, ".".join(way), fields)
    return None


def _service(container: Fields, kind: str, workload: str, variables: Variables) -> Service:
    name = container.text("name")
    image = container.text("image")
    literal = {row.text("name"): row.text("value") for row in container.rows("env")}
    return Service(
        container.file,
        f"{kind}/{workload} {name}".strip("/ "),
        tuple(dict.fromkeys((name, workload, f"{workload}/{name}", f"{kind}/{workload}"))),
        (image,) if image else (),
        _expanded(container, "command", variables.open),
        _expanded(container, "args", variables.open),
        tuple(_probes(container, literal)),
        tuple(variables.values.items()),
        container.text("workingDir"),
        tuple(row.text("mountPath") for row in container.rows("volumeMounts")),
        unknown=variables.unknown,
    )


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
