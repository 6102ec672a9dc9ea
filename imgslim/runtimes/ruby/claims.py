"""What a Ruby's installer, RubyGems and Bundler put into an image that no package lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imgslim.model import Claim, Origin, OriginKind, Scope
from imgslim.rootfs import Rootfs
from imgslim.runtimes.ruby.gems import GemIndex
from imgslim.runtimes.ruby.layout import RubyHome
from imgslim.runtimes.ruby.tables import ruby_table
from imgslim.world import World

_BINSTUB = re.compile(rb"(?:activate_bin_path|bin_path)\(['\"]([\w.-]+)['\"]")
_HEAD_BYTES = 2048
_CACHE = Origin(OriginKind.CACHE, "RubyGems cache")
_GEMS = Origin(OriginKind.DISTRIBUTION, "gems")
_SHARED = ("/", "/usr", "/usr/local", "")


def binstub_gem(rootfs: Rootfs, path: str) -> str:
    """The gem whose program a binstub runs (Gem::Installer#app_script_text); "" for others."""
    entry = rootfs.lookup(path)
    if entry is None or not entry.is_file or not entry.size_bytes:
        return ""
    head = rootfs.read_bytes(entry, _HEAD_BYTES)
    match = _BINSTUB.search(head) if head.startswith(b"#!") else None
    return match[1].decode("utf-8", "replace") if match else ""


def claims_of(world: World, homes: Sequence[RubyHome], index: GemIndex) -> Iterator[Claim]:
    """The installations of Ruby, and the gem homes."""
    for home in homes:
        yield from _installation(world.rootfs, home)
    for top in index.homes:
        yield from _gem_home(world.rootfs, top)
    for gem in index.gems:
        origin = Origin(OriginKind.DISTRIBUTION, gem.key)
        for place in (gem.directory, *gem.extensions):
            if place:
                yield Claim(place, origin)
        if not gem.from_git:
            yield Claim(gem.spec_path, origin, Scope.PATH)
    yield from _packed(world.rootfs)


def _installation(rootfs: Rootfs, home: RubyHome) -> Iterator[Claim]:
    origin = Origin(OriginKind.RUNTIME, f"Ruby {home.version}")
    config = home.config
    prefix = rootfs.resolve(config.get("prefix", "") or "/").path
    if prefix not in _SHARED:
        yield Claim(prefix, origin)  # rbenv, asdf, /opt/ruby: a folder of its own
    for top in home.library:
        yield Claim(top, origin)
    for key in ("rubyhdrdir", "ridir"):
        if config.get(key):
            yield Claim(rootfs.resolve(config[key]).path, origin)
    libraries = rootfs.resolve(config.get("libdir", "")).path
    stem = f"lib{config.get('RUBY_SO_NAME', 'ruby')}"
    for name in rootfs.children(libraries):
        if name.startswith((f"{stem}.so", f"{stem}-static.a")):
            yield Claim(f"{libraries}/{name}", origin, Scope.PATH)
    pages = rootfs.resolve(config.get("mandir", "")).path
    for name in ("ruby.1", "irb.1", "erb.1", "ri.1"):
        yield Claim(f"{pages}/man1/{name}", origin, Scope.PATH)
    yield Claim(f"{libraries}/pkgconfig/{config.get('ruby_pc', '')}", origin, Scope.PATH)
    programs = rootfs.resolve(config.get("bindir", "")).path
    for name in rootfs.children(programs):
        path = f"{programs}/{name}"
        if home.is_interpreter(path) or binstub_gem(rootfs, path):
            yield Claim(path, origin, Scope.PATH)


def _gem_home(rootfs: Rootfs, top: str) -> Iterator[Claim]:
    for name in ruby_table().home_parts:
        origin = _CACHE if name in ruby_table().home_records else _GEMS
        if rootfs.get(f"{top}/{name}") is not None:
            yield Claim(f"{top}/{name}", origin)
    for directory in (f"{top}/bin", "/usr/local/bin"):
        for name in rootfs.children(directory):
            if binstub_gem(rootfs, f"{directory}/{name}"):
                yield Claim(f"{directory}/{name}", _GEMS, Scope.PATH)


def _packed(rootfs: Rootfs) -> Iterator[Claim]:
    """``vendor/cache``: what ``bundle package`` puts beside a Gemfile to install from."""
    manifests = tuple(f"/{name}" for name in ruby_table().manifests)
    for path in [path for path in rootfs.entries if path.endswith(manifests)]:
        top = f"{path.rpartition('/')[0]}/vendor/cache"
        for name in rootfs.children(top):
            if name.endswith(".gem"):
                yield Claim(f"{top}/{name}", _CACHE, Scope.PATH)
