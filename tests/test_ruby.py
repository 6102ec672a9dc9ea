"""Ruby: what is kept of an interpreter's library, of gems and bundles, at each level."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import ImageConfig, Plan
from imgslim.pipeline import derive_plan
from imgslim.runtimes.literal_starts import literal_library
from imgslim.runtimes.ruby.bundle import read_lock
from imgslim.runtimes.ruby.gems import read_dependencies
from imgslim.runtimes.ruby.invoke import parse_bundle, parse_ruby
from imgslim.runtimes.ruby.layout import read_config
from imgslim.runtimes.ruby.source import read_source
from tests.elves import elf
from tests.worlds import File, Tree, make_world

LIB = "/usr/local/lib/ruby/3.3.0"
ARCH = f"{LIB}/x86_64-linux"
OWN_GEMS = "/usr/local/lib/ruby/gems/3.3.0"
GEMS = "/usr/local/bundle"

RBCONFIG = """
module RbConfig
  TOPDIR = File.dirname(__FILE__).chomp!("/lib/ruby/3.3.0/x86_64-linux")
  CONFIG = {}
  CONFIG["DESTDIR"] = DESTDIR
  CONFIG["MAJOR"] = "3"
  CONFIG["MINOR"] = "3"
  CONFIG["TEENY"] = "5"
  CONFIG["prefix"] = (TOPDIR || DESTDIR + "/usr/local")
  CONFIG["ruby_install_name"] = "$(RUBY_BASE_NAME)"
  CONFIG["RUBY_SO_NAME"] = "ruby"
  CONFIG["rubyhdrdir"] = "$(includedir)/$(RUBY_VERSION_NAME)"
  CONFIG["RUBY_VERSION_NAME"] = "$(RUBY_BASE_NAME)-$(ruby_version)"
  CONFIG["includedir"] = "$(prefix)/include"
  CONFIG["vendordir"] = "$(rubylibprefix)/vendor_ruby"
  CONFIG["sitelibdir"] = "$(sitedir)/$(ruby_version)"
  CONFIG["sitedir"] = "$(rubylibprefix)/site_ruby"
  CONFIG["rubyarchdir"] = "$(rubylibdir)/$(arch)"
  CONFIG["rubylibdir"] = "$(rubylibprefix)/$(ruby_version)"
  CONFIG["ruby_version"] = "3.3.0"
  CONFIG["arch"] = "x86_64-linux"
  CONFIG["rubylibprefix"] = "$(libdir)/$(RUBY_BASE_NAME)"
  CONFIG["RUBY_BASE_NAME"] = "ruby"
  CONFIG["libdir"] = "$(exec_prefix)/lib"
  CONFIG["bindir"] = "$(exec_prefix)/bin"
  CONFIG["exec_prefix"] = "$(prefix)"
"""

INTERPRETER: Tree = {
    "/usr/local/bin/ruby": File(elf(), mode=0o755),
    f"{ARCH}/rbconfig.rb": RBCONFIG,
    f"{ARCH}/enc/encdb.so": "",
    f"{ARCH}/enc/trans/japanese_sjis.so": "",
    f"{LIB}/rubygems.rb": "",
    f"{LIB}/rubygems/specification.rb": "",
    f"{LIB}/csv.rb": 'require "strscan"\nrequire_relative "csv/parser"',
    f"{LIB}/csv/parser.rb": 'require_relative "row"',
    f"{LIB}/csv/row.rb": "require 'pathname.so'",
    f"{LIB}/pathname.rb": "",
    f"{ARCH}/pathname.so": "",
    f"{LIB}/strscan.rb": "",
    f"{LIB}/tsort.rb": "",
    f"{LIB}/rdoc.rb": 'require "rdoc/markup"',
    f"{LIB}/rdoc/markup.rb": 'require "ripper"',
    f"{LIB}/rdoc/template.html": "",
    f"{LIB}/ripper.rb": "",
    f"{LIB}/bundler.rb": 'require "rdoc"',
    f"{LIB}/bundler/setup.rb": "",
    f"{OWN_GEMS}/specifications/default/csv-3.2.8.gemspec": "# stub: csv 3.2.8 ruby lib\n",
    "/usr/local/include/ruby-3.3.0/ruby.h": "",
    "/usr/local/bin/bundle": File(
        "#!/usr/local/bin/ruby\nload Gem.activate_bin_path('bundler', 'bundle', version)\n",
        mode=0o755,
    ),
    "/bin/sh": File(elf(), mode=0o755),
}


def gem(
    name: str, version: str, files: Mapping[str, object], needs: str = "", home: str = GEMS
) -> Tree:
    """A gem as RubyGems installs it; ``needs`` are lines of its specification."""
    stub = f"# -*- encoding: utf-8 -*-\n# stub: {name} {version} ruby lib\n"
    tree: dict[str, object] = {
        f"{home}/specifications/{name}-{version}.gemspec": (
            f"{stub}\nGem::Specification.new do |s|\n{needs}\nend\n"
        )
    }
    for path, content in files.items():
        tree[f"{home}/gems/{name}-{version}/{path}"] = content
    return tree  # type: ignore[return-value]


def plan_of(
    tmp_path: Path, *trees: Tree, level: Level = Level.BALANCED, cmd: str = "", **env: str
) -> Plan:
    merged: dict[str, object] = dict(INTERPRETER)
    for tree in trees:
        merged.update(tree)
    variables = {"PATH": f"{GEMS}/bin:/usr/local/bin:/usr/bin:/bin", "GEM_HOME": GEMS, **env}
    config = ImageConfig(
        cmd=tuple((cmd or "ruby /app/main.rb").split()),
        env=tuple(variables.items()),
        working_dir="/app",
    )
    choices = Choices(level=level)
    world = make_world(tmp_path, merged, config=config, choices=choices)  # type: ignore[arg-type]
    plan = derive_plan(world)
    world.rootfs.close()
    return plan


def kept(plan: Plan) -> set[str]:
    return {keep.entry.path for keep in plan.keeps if not keep.entry.is_directory}


def test_the_library_is_kept_by_level_and_by_what_is_required(tmp_path: Path) -> None:
    app: Tree = {"/app/main.rb": 'require "csv"'}
    for level, paths, gone in [
        (Level.SAFE, ["tsort.rb", "rdoc/template.html", "bundler.rb"], []),
        (
            Level.BALANCED,
            ["tsort.rb", "strscan.rb"],
            ["rdoc.rb", "rdoc/template.html", "bundler.rb"],
        ),
        (
            Level.TIGHT,
            ["csv/row.rb", "x86_64-linux/pathname.so", "rubygems.rb"],
            ["tsort.rb", "rdoc.rb"],
        ),
    ]:
        found = kept(plan_of(tmp_path, app, level=level))
        assert {f"{LIB}/{path}" for path in paths} <= found
        assert not {f"{LIB}/{path}" for path in gone} & found
        assert f"{ARCH}/enc/trans/japanese_sjis.so" in found
        assert f"{OWN_GEMS}/specifications/default/csv-3.2.8.gemspec" in found
        assert "/usr/local/include/ruby-3.3.0/ruby.h" not in found


def test_a_part_that_is_required_brings_the_parts_that_it_requires(tmp_path: Path) -> None:
    found = kept(plan_of(tmp_path, {"/app/main.rb": 'require "rdoc"'}))
    assert {f"{LIB}/{path}" for path in ("rdoc.rb", "rdoc/template.html", "ripper.rb")} <= found


RACK = gem("rack", "3.1.0", {"lib/rack.rb": ""})
SINATRA = gem(
    "sinatra",
    "4.0.0",
    {"lib/sinatra.rb": 'require "rack"'},
    's.add_runtime_dependency(%q<rack>.freeze, [">= 3"])\n'
    's.add_development_dependency(%q<rspec>.freeze, [">= 3"])',
)
RSPEC = gem("rspec", "3.13.0", {"lib/rspec.rb": ""})


@pytest.mark.parametrize(
    "source",
    [
        'require "sinatra"',
        "autoload :Sinatra, 'sinatra'",
        'gem "sinatra", "~> 4.0"',
        'require "sin#{tail}"',
        "require path",
    ],
)
def test_requires_reach_gems_with_what_they_need(tmp_path: Path, source: str) -> None:
    found = kept(plan_of(tmp_path, SINATRA, RACK, RSPEC, {"/app/main.rb": source}))
    assert f"{GEMS}/gems/sinatra-4.0.0/lib/sinatra.rb" in found
    assert f"{GEMS}/specifications/sinatra-4.0.0.gemspec" in found
    assert f"{GEMS}/gems/rack-3.1.0/lib/rack.rb" in found
    assert (f"{GEMS}/gems/rspec-3.13.0/lib/rspec.rb" in found) is (source == "require path")


def test_a_require_that_nobody_can_tell_is_said(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RACK, {"/app/main.rb": "require path"})
    assert [p.path for p in plan.problems if p.code == "dynamic-require"] == ["/app/main.rb"]


GEMFILE = """
gem "sinatra"
group :development, :test do
  gem "rspec"
end
gem "debugger", group: :development
"""
LOCK = """GEM
  remote: https://rubygems.org/
  specs:
    debugger (1.0.0)
    rack (3.1.0)
    rspec (3.13.0)
    sinatra (4.0.0)
      rack (>= 3)

DEPENDENCIES
  debugger
  rspec
  sinatra
"""
BUNDLE: Tree = {"/app/Gemfile": GEMFILE, "/app/Gemfile.lock": LOCK, "/app/main.rb": ""}
DEBUGGER = gem("debugger", "1.0.0", {"lib/debugger.rb": ""})


@pytest.mark.parametrize(
    ("env", "level", "rspec", "debugger"),
    [
        ({"RACK_ENV": "production"}, Level.BALANCED, False, False),
        ({}, Level.BALANCED, True, True),
        ({"RAILS_ENV": "test"}, Level.BALANCED, True, False),
        ({"RACK_ENV": "production"}, Level.SAFE, True, True),
    ],
)
def test_groups_for_development_go_unless_the_environment_is_theirs(
    tmp_path: Path, env: dict[str, str], level: Level, rspec: bool, debugger: bool
) -> None:
    trees = (SINATRA, RACK, RSPEC, DEBUGGER, BUNDLE)
    found = kept(plan_of(tmp_path, *trees, level=level, **env))
    assert f"{GEMS}/gems/rack-3.1.0/lib/rack.rb" in found
    assert (f"{GEMS}/gems/rspec-3.13.0/lib/rspec.rb" in found) is rspec
    assert (f"{GEMS}/gems/debugger-1.0.0/lib/debugger.rb" in found) is debugger
    # Bundler refuses to start when a gem of the lock is not known to RubyGems.
    assert f"{GEMS}/specifications/rspec-3.13.0.gemspec" in found


def test_an_own_source_that_requires_a_development_gem_keeps_it(tmp_path: Path) -> None:
    app = {**BUNDLE, "/app/main.rb": 'require "rspec"', "/app/spec/x_spec.rb": 'require "debugger"'}
    found = kept(plan_of(tmp_path, SINATRA, RACK, RSPEC, DEBUGGER, app, RACK_ENV="production"))
    assert f"{GEMS}/gems/rspec-3.13.0/lib/rspec.rb" in found
    assert f"{GEMS}/gems/debugger-1.0.0/lib/debugger.rb" not in found


NATIVE_PLACE = f"{GEMS}/extensions/x86_64-linux/3.3.0/native-1.0.0"
NATIVE: Tree = {
    **gem(
        "native",
        "1.0.0",
        {
            "lib/native.rb": "",
            "lib/native/native.so": "same",
            "lib/native/3.3/other.so": "ours",
            "lib/native/3.2/other.so": "older",
            "lib/spec/kept.rb": "",
            "data/table.bin": "",
            "ext/native/native.c": "",
            "spec/native_spec.rb": "",
            "README.md": "",
            "LICENSE.md": "",
        },
    ),
    f"{NATIVE_PLACE}/gem.build_complete": "",
    f"{NATIVE_PLACE}/gem_make.out": "log",
    f"{NATIVE_PLACE}/native/native.so": "same",
}


def test_what_of_a_gem_only_builds_and_people_read_is_left_out(tmp_path: Path) -> None:
    app: Tree = {"/app/main.rb": 'require "native"'}
    found = kept(plan_of(tmp_path, NATIVE, app))
    top = f"{GEMS}/gems/native-1.0.0"
    inside = {path.removeprefix(f"{top}/") for path in found if path.startswith(f"{top}/")}
    assert inside == {
        "lib/native.rb",
        "lib/native/native.so",
        "lib/native/3.3/other.so",
        "lib/spec/kept.rb",
        "data/table.bin",
        "LICENSE.md",
    }
    beside = {path for path in found if path.startswith(NATIVE_PLACE)}
    assert beside == {f"{NATIVE_PLACE}/gem.build_complete"}
    safe = kept(plan_of(tmp_path, NATIVE, app, level=Level.SAFE))
    assert {f"{top}/spec/native_spec.rb", f"{NATIVE_PLACE}/gem_make.out"} <= safe


def test_bundle_exec_finds_programs_of_a_bundle_in_the_app(tmp_path: Path) -> None:
    home = "/app/vendor/bundle/ruby/3.3.0"
    server = gem("server", "2.0.0", {"lib/server.rb": "", "exe/server": ""}, home=home)
    tree: Tree = {
        **server,
        "/app/Gemfile": 'gem "server"',
        f"{home}/bin/server": File(
            "#!/usr/bin/env ruby\nload Gem.activate_bin_path('server', 'server', version)\n", 0o755
        ),
        f"{home}/cache/server-2.0.0.gem": "archive",
        "/usr/bin/env": File(elf(), mode=0o755),
    }
    found = kept(plan_of(tmp_path, tree, cmd="bundle exec server", RACK_ENV="production"))
    assert {f"{home}/bin/server", f"{home}/gems/server-2.0.0/exe/server"} <= found
    assert f"{LIB}/bundler/setup.rb" in found
    # Bundler's own consoles load RDoc and IRB, programs of a bundle do not.
    assert f"{LIB}/rdoc.rb" not in found
    assert f"{home}/cache/server-2.0.0.gem" not in found


def test_a_gem_from_git_is_known_by_its_revision(tmp_path: Path) -> None:
    lock = (
        "GIT\n  remote: https://example.com/tool.git\n  revision: 0123456789abcdef\n  specs:\n"
        "    tool (1.0)\n\nDEPENDENCIES\n  tool!\n"
    )
    top = f"{GEMS}/bundler/gems"
    tree: Tree = {
        "/app/Gemfile": 'gem "tool", git: "https://example.com/tool.git"',
        "/app/Gemfile.lock": lock,
        "/app/main.rb": "",
        f"{top}/tool-0123456789ab/tool.gemspec": "",
        f"{top}/tool-0123456789ab/lib/tool.rb": "",
        f"{top}/tool-ffffffffffff/tool.gemspec": "",
        f"{top}/tool-ffffffffffff/lib/tool.rb": "",
    }
    found = kept(plan_of(tmp_path, tree))
    assert f"{top}/tool-0123456789ab/lib/tool.rb" in found
    assert f"{top}/tool-0123456789ab/tool.gemspec" in found
    assert f"{top}/tool-ffffffffffff/lib/tool.rb" not in found


def test_programs_that_sources_start_are_kept(tmp_path: Path) -> None:
    names = ("convert", "uptime", "pandoc", "shred", "aspell")
    tools: dict[str, object] = {f"/usr/bin/{name}": File(elf(), mode=0o755) for name in names}
    tools["/var/lib/dpkg/info/coreutils.list"] = "".join(f"/usr/bin/{name}\n" for name in names)
    tools["/var/lib/dpkg/status"] = (
        "Package: coreutils\nStatus: install ok installed\nArchitecture: amd64\nVersion: 9\n"
        "Essential: yes\n"
    )
    source = (
        'system("convert", from, to)\n`uptime -p`\nOpen3.capture2("pandoc #{path}")\n'
        '# system("shred")\ntool = "aspell"\nspawn(tool, "list")\n'
    )
    found = kept(plan_of(tmp_path, tools, {"/app/main.rb": source}))  # type: ignore[arg-type]
    assert {f"/usr/bin/{name}" for name in names} - found == {"/usr/bin/shred"}


def test_tasks_are_read_where_rake_runs(tmp_path: Path) -> None:
    app: Tree = {"/app/main.rb": "", "/app/Rakefile": 'require "rspec"'}
    rake: Tree = {
        **gem("rake", "13.2.1", {"lib/rake.rb": ""}),
        f"{GEMS}/bin/rake": File(
            "#!/usr/local/bin/ruby\nload Gem.activate_bin_path('rake', 'rake', version)\n", 0o755
        ),
    }
    rspec = f"{GEMS}/gems/rspec-3.13.0/lib/rspec.rb"
    assert rspec not in kept(plan_of(tmp_path, RSPEC, rake, app))
    found = kept(plan_of(tmp_path, RSPEC, rake, app, cmd="rake"))
    assert {rspec, f"{GEMS}/gems/rake-13.2.1/lib/rake.rb"} <= found


def test_what_runs_is_described(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SINATRA, RACK, RSPEC, DEBUGGER, BUNDLE, RACK_ENV="production")
    assert plan.programs[0].description == "Ruby 3.3.5, app /app on Sinatra 4.0.0"
    assert not [problem for problem in plan.problems if problem.code == "no-module"]


@pytest.mark.parametrize(
    ("argv", "script", "required", "arguments"),
    [
        ("ruby app.rb -p 80", "app.rb", (), ("-p", "80")),
        ("ruby -W0 -rset -r json -Ilib app.rb", "app.rb", ("set", "json"), ()),
        ("ruby --yjit -E UTF-8 app.rb", "app.rb", (), ()),
        ("ruby -rjson -e puts", "", ("json",), ()),
        ("ruby -S rake db:migrate", "rake", (), ("db:migrate",)),
        ("ruby -- -odd.rb", "-odd.rb", (), ()),
    ],
)
def test_words_of_ruby(
    argv: str, script: str, required: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    command = parse_ruby(argv.split())
    assert (command.script, command.required, command.arguments) == (script, required, arguments)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("exec puma -C x", ("exec", ("puma", "-C", "x"))),
        ("exec --keep-file-descriptors puma", ("exec", ("puma",))),
        ("--gemfile G exec puma", ("exec", ("puma",))),
        ("check", ("check", ())),
        ("", ("install", ())),
    ],
)
def test_words_of_bundle(words: str, expected: tuple[str, tuple[str, ...]]) -> None:
    assert parse_bundle(words.split()) == expected


def test_a_moved_ruby_is_where_its_rbconfig_lies() -> None:
    config = read_config(RBCONFIG, "/opt/ruby/lib/ruby/3.3.0/x86_64-linux/rbconfig.rb")
    assert config["rubylibdir"] == "/opt/ruby/lib/ruby/3.3.0"
    assert config["bindir"] == "/opt/ruby/bin"


def test_a_lock_is_read() -> None:
    lock = read_lock(LOCK)
    assert lock.versions["rack"] == {"3.1.0"}
    assert lock.depends["sinatra"] == {"rack"}
    assert lock.wanted == {"debugger", "rspec", "sinatra"}


def test_dependencies_for_development_are_none_however_they_are_written() -> None:
    old = (
        b"if s.respond_to? :specification_version then\n"
        b"s.add_development_dependency(%q<minitest>.freeze)\nelse\n"
        b"s.add_dependency(%q<minitest>.freeze)\nend\n"
    )
    assert read_dependencies(old) == ()
    assert read_dependencies(b"s.add_dependency(%q<rack>.freeze, ['> 1'])") == ("rack",)


def test_what_a_source_says() -> None:
    facts = read_source(
        b'require File.expand_path("../lib/x", __FILE__)\nrequire_relative "y"\n'
        b'autoload :A, "a/b"\nGem.find_files("z/*_plugin.rb")\nffi_lib ["vips", "glib-2.0"]\n'
    )
    assert [(v.text, v.here) for v, _ in facts.features] == [
        ("../lib/x", True),
        ("y", True),
        ("a/b", False),
    ]
    assert [name for name, _ in facts.libraries] == ["vips", "glib-2.0"]
    assert facts.files[0][0] == "z/*_plugin.rb"
    assert facts.dynamic == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("vips", {"/usr/lib/vips/libvips.so.42"}),
        ("glib-2.0", {"/usr/lib/x86_64-linux-gnu/libglib-2.0.so.0"}),
        ("libheif.so.1", {"/usr/local/lib64/libheif.so.1.2"}),
        ("/opt/x/libx.so", {"/opt/x/libx.so"}),
    ],
)
def test_libraries_opened_by_name_lie_where_the_loader_looks(
    tmp_path: Path, name: str, found: set[str]
) -> None:
    tree: Tree = {
        "/usr/lib/x86_64-linux-gnu/libglib-2.0.so.0": "",
        "/usr/lib/vips/libvips.so.42": "",
        "/usr/lib/vips/libvips-cpp.so.42": "",
        "/usr/lib/other/libvips.so.42": "",
        "/usr/local/lib64/libheif.so.1.2": "",
        "/usr/local/lib64/libheif.so.2": "",
    }
    config = ImageConfig(env=(("LD_LIBRARY_PATH", "/usr/lib/vips"),))
    world = make_world(tmp_path, tree, config=config)
    assert {need.path for need in literal_library(world, name, "/app/main.rb")} == found
