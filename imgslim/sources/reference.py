"""Image references, as the distribution project's ``reference`` package reads and shortens them."""

from __future__ import annotations

import re

_DEFAULT_DOMAINS = ("docker.io/", "index.docker.io/")
_OFFICIAL = "library/"
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{4,64}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*"
    rf"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@{_DIGEST.pattern})?"
)


def is_reference(word: str) -> bool:
    """Whether ``word`` can name an image in an engine: a reference, an id or a digest."""
    return bool(_REFERENCE.fullmatch(word) or _ID.fullmatch(word))


def looks_like_id(word: str) -> bool:
    """Whether ``word`` is an image's id, whole or cut short; a name may look so, too."""
    return bool(_ID.fullmatch(word))


def familiar(reference: str) -> str:
    """``reference`` as the docker command shows it: docker.io and library/ left out."""
    for domain in _DEFAULT_DOMAINS:
        if reference.startswith(domain):
            return reference.removeprefix(domain).removeprefix(_OFFICIAL)
    return reference


def with_tag(reference: str) -> str:
    """``reference`` with ``:latest`` where it has neither tag nor digest."""
    last = reference.rpartition("/")[2]
    return reference if ":" in last or "@" in last else f"{reference}:latest"


def canonical(reference: str) -> str:
    """The one spelling under which two references of the same image are equal."""
    return with_tag(familiar(reference))


def full_name(reference: str) -> str:
    """What ``familiar`` shortens: with its registry and, unless it has a digest, its tag. A first
    part with a dot, a colon or a capital, or ``localhost``, is a registry (the distribution
    project's ``splitDockerDomain``)."""
    short = familiar(reference)
    first, slash, _ = short.partition("/")
    if slash and (re.search("[.:A-Z]", first) or first == "localhost"):
        return with_tag(short)
    return with_tag(_DEFAULT_DOMAINS[0] + (short if slash else _OFFICIAL + short))


def repository(reference: str) -> str:
    """``reference`` without its tag and digest."""
    name = reference.partition("@")[0]
    path, slash, last = name.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def is_image_id(reference: str, image_id: str) -> bool:
    """Whether ``reference`` is a (shortened) form of an image's id."""
    return image_id.startswith((reference, f"sha256:{reference}"))


def stated_tag(image_id: str) -> str:
    """The name under which an image that has none is to be loaded, so that FROM can name it."""
    return f"imgslim-input:{image_id.partition(':')[2][:12]}"
