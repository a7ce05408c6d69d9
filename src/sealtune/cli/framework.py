"""What all commands share: `--json`, examples in every help text, commands loaded when called.

A command module is imported when its command runs or the overview needs its summary, and imports
nothing heavy itself: handlers reach the work through `sealtune`'s lazily loaded functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import click

JSON_MODE: Final = "sealtune.json"
_SUMMARY_MAX: Final = 200
SETTINGS: Final[dict[str, Any]] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 96,
    "show_default": True,
}


def _remember_json(context: click.Context, _option: click.Parameter, value: bool) -> None:
    # meta is shared by the contexts of a group and its commands, so output.py needs no parameter.
    context.meta[JSON_MODE] = value


def _json_option() -> click.Option:
    return click.Option(
        ["--json", "as_json"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        show_default=False,
        callback=_remember_json,
        help="Print one JSON object on standard output, errors included.",
    )


class Command(click.Command):
    """A command with `--json` and at least one example."""

    def __init__(self, *args: Any, examples: Sequence[str], **settings: Any) -> None:
        settings.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **settings)
        self.examples = tuple(examples)
        self.params.append(_json_option())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the options."""
        del ctx
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for example in self.examples:
                formatter.write("".join(f"  {line}\n" for line in example.splitlines()))


class Group(click.Group):
    """A group whose commands are `Command`s."""

    command_class = Command

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use, which is that of definition."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its whole summary."""
        with formatter.section("Commands"):
            self._write_commands(ctx, formatter, self.list_commands(ctx))

    def _write_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter, names: Iterable[str]
    ) -> None:
        width = max(map(len, self.list_commands(ctx)))
        commands = ((name, self.get_command(ctx, name)) for name in names)
        # A limit that no summary reaches: a sentence cut in its middle explains nothing.
        summaries = [
            (name.ljust(width), command.get_short_help_str(_SUMMARY_MAX))
            for name, command in commands
            if command
        ]
        formatter.write_dl(summaries)


class LazyGroup(Group):
    """The root: commands by section, each `NAME: "module:attribute"`, imported when asked for."""

    def __init__(
        self, *args: Any, sections: Mapping[str, Mapping[str, str]], **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.sections = sections
        self._places = {name: place for row in sections.values() for name, place in row.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        del ctx
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, imported now, or None."""
        del ctx
        place = self._places.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{place} is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return what `args` name; a name that is not there is answered with the nearest one."""
        if args and args[0] not in self._places and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self._places, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each kind of user."""
        for title, names in self.sections.items():
            with formatter.section(title):
                self._write_commands(ctx, formatter, names)
