"""Commands whose options a settings file may give, too.

The keys are the long names of the options: of all configured commands, so that one file serves
them all. The command line goes before the file for single values, lists add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import click
from click.core import ParameterSource

from imgslim.errors import UsageError

if TYPE_CHECKING:
    from imgslim.settings import Settings, Table


class RunOption(click.Option):
    """An option that is about one run, not about an image: it has no place in a settings file."""


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
    return name.removeprefix("no-") if option.is_flag and option.flag_value is False else name


def _apply(ctx: click.Context, settings: Settings) -> None:
    known = _known_options(ctx)
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
    place = f"{settings.path}{f', {table}' if table.pattern else ''}"
    option = known.get(key)
    if option is None:
        keys = [each for each, one in known.items() if not isinstance(one, RunOption)]
        raise UsageError(f"{place}: unknown key {key}", hint=_near(key, keys))
    if isinstance(option, RunOption):
        raise UsageError(
            f"{place}: {key} is about one run", hint=f"say --{key} on the command line"
        )
    expected = _expected(option)
    rows = value if option.multiple and isinstance(value, list) else [value]
    if (option.multiple and not isinstance(value, list)) or not all(
        type(row) is expected for row in rows
    ):
        kind = {bool: "true or false", int: "a number", str: "a string"}[expected]
        shape = "a list of strings" if option.multiple else kind
        raise UsageError(f"{place}: {key} takes {shape}, not {value!r}", hint=_example(option))
    if isinstance(option.type, click.Path):
        folder = Path(settings.path).parent
        rows = [str(folder / row) for row in rows]
    try:
        return option.type_cast_value(ctx, tuple(rows) if option.multiple else rows[0])
    except click.BadParameter as error:
        choices = getattr(option.type, "choices", ())
        raise UsageError(
            f"{place}: {key}: {error.message.rstrip('.')}", hint=_near(str(value), list(choices))
        ) from None


def _expected(option: click.Option) -> type:
    if option.is_flag:
        return bool
    return int if isinstance(option.type, click.types.IntParamType) else str


def _example(option: click.Option) -> str:
    key, metavar = key_of(option), option.metavar or "VALUE"
    if option.multiple:
        return f'write {key} = ["{metavar}"]'
    return f"write {key} = {'true' if option.is_flag else metavar}"


def _near(word: str, names: list[str]) -> str:
    near = get_close_matches(word, names, 3)
    return f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(names)}"
