"""Commands whose options a settings file may give, too.

The keys are the long names of the options: of all configured commands, so that one file serves
them all. The options of one command alone have a table with its name: the key ``max-size`` of
``[check]`` is ``check.max-size``, as TOML has it, too. The command line goes before the file for
single values, lists add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import click
from click.core import ParameterSource

from imgslim.cli.amounts import Amount
from imgslim.errors import UsageError

if TYPE_CHECKING:
    from imgslim.settings import Settings, Table


class RunOption(click.Option):
    """An option that is about one run, not about an image: it has no place in a settings file."""


class SectionOption(click.Option):
    """An option that has its place in the table ``section`` of a settings file."""

    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class ConfiguredCommand(click.Command):
    """A command with ``--config`` and ``--no-config``; its function gets the settled values."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            RunOption(
                ["--config"],
                metavar="FILE",
                help="Settings for these options. Default: imgslim.toml here, or [tool.imgslim] of "
                "pyproject.toml.",
            ),
            RunOption(["--no-config"], is_flag=True, help="Use no settings file."),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        path, without = ctx.params.pop("config"), ctx.params.pop("no_config")
        if path and without:
            raise UsageError("--config and --no-config contradict each other", hint="give one")
        if not ctx.resilient_parsing and not without:
            from imgslim.settings import find_settings, load_settings

            settings = load_settings(path) if path else find_settings(Path())
            if settings is not None:
                _apply(ctx, settings)
        return rest


def key_of(option: click.Option) -> str:
    """The key of an option in a settings file; what ``--no-x`` turns off is called ``x``."""
    name = next(opt for opt in option.opts if opt.startswith("--")).removeprefix("--")
    if isinstance(option, SectionOption):
        return f"{option.section}.{name}"
    return name.removeprefix("no-") if option.is_flag and option.flag_value is False else name


def _apply(ctx: click.Context, settings: Settings) -> None:
    known = _known_options(ctx)
    settings = _flattened(settings, _sections(known))
    for table in settings.tables:
        for key, value in table.values.items():
            _value(ctx, settings, table, known, key, value)
    own = {key_of(p): p for p in ctx.command.params if _is_setting(p)}
    used = settings.tables_for(ctx.params["image"])
    lists: dict[str, tuple[Any, ...]] = {}
    for table in used:
        for key in table.values.keys() & own.keys():
            name = own[key].name
            assert name is not None
            value = _value(ctx, settings, table, known, key, table.values[key])
            if own[key].multiple:
                lists[name] = (*lists.get(name, ()), *value)
            elif ctx.get_parameter_source(name) is ParameterSource.DEFAULT:
                ctx.params[name] = value
    for name, values in lists.items():
        ctx.params[name] = (*values, *ctx.params[name])
    if not ctx.params.get("quiet"):
        named = [str(table) for table in used if table.pattern]
        images = f" with {', '.join(named)}" if named else ""
        click.echo(f"imgslim: note: settings from {settings.path}{images}", err=True)


def _sections(known: Mapping[str, click.Option]) -> list[str]:
    sections = (one.section for one in known.values() if isinstance(one, SectionOption))
    return list(dict.fromkeys(sections))


def _flattened(settings: Settings, sections: list[str]) -> Settings:
    """``settings`` with the keys of the tables ``sections`` among the others."""
    tables = []
    for table in settings.tables:
        values = {key: value for key, value in table.values.items() if key not in sections}
        for section in sections:
            inner = table.values.get(section, {})
            if not isinstance(inner, Mapping):
                raise UsageError(
                    f"{_place(settings, table)}: {section} is no table",
                    hint=f"write [{section}] and keys",
                )
            values |= {f"{section}.{key}": value for key, value in inner.items()}
        tables.append(replace(table, values=values))
    return replace(settings, tables=tuple(tables))


def _known_options(ctx: click.Context) -> Mapping[str, click.Option]:
    """The options of all configured commands by their keys: those that a file may set first, of
    these the running command's."""
    found: dict[str, click.Option] = {}
    for command in (ctx.command, *_siblings(ctx)):
        if isinstance(command, ConfiguredCommand):
            for param in command.params:
                if isinstance(param, click.Option):
                    known = found.setdefault(key_of(param), param)
                    if _is_setting(param) and not _is_setting(known):
                        found[key_of(param)] = param
    return found


def _is_setting(param: click.Parameter) -> TypeGuard[click.Option]:
    return isinstance(param, click.Option) and not isinstance(param, RunOption)


def _siblings(ctx: click.Context) -> Iterator[click.Command | None]:
    group = ctx.parent.command if ctx.parent is not None else None
    if ctx.parent is not None and isinstance(group, click.Group):
        for name in group.list_commands(ctx.parent):
            yield group.get_command(ctx.parent, name)


def _value(
    ctx: click.Context,
    settings: Settings,
    table: Table,
    known: Mapping[str, click.Option],
    key: str,
    value: Any,
) -> Any:
    """A setting as the option's own type has it. Raises UsageError for what does not fit."""
    place = _place(settings, table)
    option = known.get(key)
    if option is None:
        raise UsageError(f"{place}: unknown key {key}", hint=_near_key(key, known))
    if isinstance(option, RunOption):
        raise UsageError(
            f"{place}: {key} is about one run", hint=f"say --{key} on the command line"
        )
    types, kind = _expected(option)
    rows = value if option.multiple and isinstance(value, list) else [value]
    if (option.multiple and not isinstance(value, list)) or not all(
        type(row) in types for row in rows
    ):
        shape = "a list of strings" if option.multiple else kind
        raise UsageError(f"{place}: {key} takes {shape}, not {value!r}", hint=_example(option))
    if isinstance(option.type, click.Path):
        folder = Path(settings.path).parent
        rows = [str(folder / row) for row in rows]
    try:
        return option.type_cast_value(ctx, tuple(rows) if option.multiple else rows[0])
    except click.BadParameter as error:
        choices = list(getattr(option.type, "choices", ()))
        wrong = next((row for row in rows if row not in choices), value)
        hint = _near(str(wrong), choices) if choices else _example(option)
        raise UsageError(f"{place}: {key}: {error.message.rstrip('.')}", hint=hint) from None


def _near_key(key: str, known: Mapping[str, click.Option]) -> str:
    section, _, name = key.rpartition(".")
    elsewhere = known.get(name)
    if section and isinstance(elsewhere, RunOption):
        return f"say --{name} on the command line"
    if section and elsewhere is not None:
        return f"{name} has its place outside of [{section}]"
    keys = [each for each, one in known.items() if not isinstance(one, RunOption)]
    return _near(key, [*keys, *_sections(known)])


def _place(settings: Settings, table: Table) -> str:
    return f"{settings.path}{f', {table}' if table.pattern else ''}"


def _expected(option: click.Option) -> tuple[tuple[type, ...], str]:
    """The types of a value, or of each in a list, and what they are called."""
    if option.is_flag:
        return (bool,), "true or false"
    if isinstance(option.type, Amount):
        return (int, float, str), "a number or a string"
    if isinstance(option.type, click.types.IntParamType):
        return (int,), "a number"
    return (str,), "a string"


def _example(option: click.Option) -> str:
    key, metavar = key_of(option), option.metavar or "VALUE"
    if option.multiple:
        return f'write {key} = ["{metavar}"]'
    return f"write {key} = {'true' if option.is_flag else metavar}"


def _near(word: str, names: list[str]) -> str:
    near = get_close_matches(word, names, 3)
    return f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(names)}"
