"""Variables of a Kubernetes container, with what it takes from ConfigMaps and Secrets.

Source: the kubelet's ``makeEnvironmentVariables`` (pkg/kubelet/kubelet_pods.go) and the API's
EnvVar, EnvFromSource, ConfigMap and Secret.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from imgslim.deployments.document import Fields
from imgslim.deployments.interpolation import expand_references
from imgslim.errors import UsageError

_CONFIG_MAP, _SECRET = "ConfigMap", "Secret"
_REFERENCES = {"configMap": _CONFIG_MAP, "secret": _SECRET}


@dataclass(frozen=True, slots=True)
class StoredValues:
    """The values of ConfigMaps and Secrets, by kind, namespace ("": not stated) and name."""

    by_name: Mapping[tuple[str, str, str], Mapping[str, str]]

    @classmethod
    def of(cls, documents: Iterable[Fields]) -> StoredValues:
        found: dict[tuple[str, str, str], Mapping[str, str]] = {}
        for document in documents:
            kind = document.text("kind")
            if kind in (_CONFIG_MAP, _SECRET):
                metadata = document.mapping("metadata")
                key = (kind, metadata.text("namespace"), metadata.text("name"))
                found[key] = _config_map(document) if kind == _CONFIG_MAP else _secret(document)
        return cls(found)

    def get(self, kind: str, namespace: str, name: str) -> Mapping[str, str] | None:
        """Those of the pod's namespace; where one of the two states none, it may be that one."""
        spaces = (namespace, "") if namespace else ("", *self._spaces_of(kind, name))
        places = ((kind, space, name) for space in spaces)
        return next((self.by_name[place] for place in places if place in self.by_name), None)

    def _spaces_of(self, kind: str, name: str) -> Iterator[str]:
        return (space for own, space, other in self.by_name if (own, other) == (kind, name))


def _config_map(document: Fields) -> dict[str, str]:
    data = document.mapping("data")
    return {key: data.text(key) for key in data.values}


def _secret(document: Fields) -> dict[str, str]:
    """``data`` in base64, ``stringData`` over it as it is."""
    data, plain = document.mapping("data"), document.mapping("stringData")
    found = {}
    for key in data.values:
        try:
            value = base64.b64decode(data.text(key), validate=False)
        except binascii.Error:
            raise UsageError(
                f"{document.file}: data.{key} of a Secret is no base64", hint="see kubectl apply"
            ) from None
        # Bytes that are no text are no variable's value; nothing names a path in them.
        found[key] = value.decode("utf-8", "replace")
    return {**found, **{key: plain.text(key) for key in plain.values}}


@dataclass(frozen=True, slots=True)
class Variables:
    """``values`` by name; ``open`` those that no Secret has a part in, which may be shown in a
    command line. ``unknown`` names what sets further ones and is in no file."""

    values: Mapping[str, str]
    open: Mapping[str, str]
    unknown: tuple[str, ...]


def variables_of(container: Fields, stored: StoredValues, namespace: str) -> Variables:
    """The variables of ``container``, in a pod of ``namespace``: those of ``envFrom``, then those
    of ``env`` over them, whose values may refer to all before.

    A ``fieldRef`` or ``resourceFieldRef`` is known when the pod runs and names no file of the
    image; an optional reference may lead nowhere in a cluster, or not, so it is unknown as others.
    """
    values: dict[str, str] = {}
    secret: set[str] = set()
    unknown: dict[str, None] = {}
    for row in container.rows("envFrom"):
        for kind, reference in _references(row, "Ref"):
            found = stored.get(kind, namespace, reference.text("name"))
            if found is None:
                unknown[f"{kind} {reference.text('name')}"] = None
            named = {f"{row.text('prefix')}{key}": value for key, value in (found or {}).items()}
            values |= named
            secret = secret.union(named) if kind == _SECRET else secret.difference(named)
    for row in container.rows("env"):
        name = row.text("name")
        plain = row.text("value")
        if plain or "valueFrom" not in row.values:
            values[name] = expand_references(plain, values)
            is_open = expand_references(plain, _without(values, secret)) == values[name]
            secret = secret - {name} if is_open else secret | {name}
            continue
        for kind, reference in _references(row.mapping("valueFrom"), "KeyRef"):
            key = reference.text("key")
            value = (stored.get(kind, namespace, reference.text("name")) or {}).get(key)
            if value is None:
                what = f"{kind} {reference.text('name')} (key {key}, variable {name})"
                unknown[what] = None
                continue
            values[name] = value
            secret = secret | {name} if kind == _SECRET else secret - {name}
    return Variables(values, _without(values, secret), tuple(unknown))


def _references(row: Fields, ending: str) -> Iterator[tuple[str, Fields]]:
    for key, kind in _REFERENCES.items():
        if row.values.get(f"{key}{ending}") is not None:
            yield kind, row.mapping(f"{key}{ending}")


def _without(values: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in names}
