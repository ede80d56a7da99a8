"""The typer program: finds the command of one or two words, and binds its arguments to it.

A command's function gets a ``Session`` and its own arguments. The options that all commands take
are added here, once, before and behind the command. Binding and running are apart: typer only
parses, so that errors of the run are told in one place and in one way.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from syncd.cli import catalog, layout
from syncd.cli.session import Options, Outcome, Session

Function = TypeVar("Function", bound=Callable[..., Outcome])
HELP_NAMES = ("-h", "--help")


@dataclass(frozen=True, slots=True)
class Call:
    """A command with its arguments, ready to run."""

    function: Callable[..., Outcome]
    options: Options
    arguments: dict[str, Any]

    def run(self, session: Session) -> Outcome:
        """Run the command."""
        return self.function(session, **self.arguments)


def _option(name: str, **more: Any) -> Any:  # noqa: ANN401 - typer's own return type
    option = catalog.GLOBAL_OPTIONS[name]
    return typer.Option(*option.names, help=option.text, metavar=option.metavar or None, **more)


def _globals(
    config: Annotated[str | None, _option("config")] = None,
    json: Annotated[bool, _option("json")] = False,
    verbose: Annotated[int, _option("verbose", count=True)] = 0,
    debug: Annotated[bool, _option("debug")] = False,
    no_color: Annotated[bool, _option("no_color")] = False,
) -> Options:
    return Options(config=config, json=json, verbose=verbose, debug=debug, no_color=no_color)


def _take(function: Callable[..., object], own: Sequence[inspect.Parameter]) -> None:
    """Let typer see these parameters and the options of every command as the function's own."""
    shared = inspect.signature(_globals, eval_str=True).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("context", keyword, annotation=typer.Context)
    parameters = [context, *(each.replace(kind=keyword) for each in (*own, *shared))]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {}


def family() -> typer.Typer:
    """Return an empty family of commands."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def command(app: typer.Typer, path: str) -> Callable[[Function], Function]:
    """Register a function ``(session, arguments…) -> Outcome`` as the command ``path``."""

    def register(function: Function) -> Function:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def bind(context: typer.Context, **values: Any) -> Call:  # noqa: ANN401 - typer's values
            given = _globals(**{name: values.pop(name) for name in catalog.GLOBAL_OPTIONS})
            return Call(function, (context.obj or Options()).merged(given), values)

        _take(bind, own)
        bind.__doc__ = function.__doc__
        app.command(path, cls=Command, context_settings={"help_option_names": [*HELP_NAMES]})(bind)
        return function

    return register


class Command(TyperCommand):
    """A command whose help is laid out like that of ``syncd`` itself."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer's private types
        """Write usage, description, arguments and options."""
        entry = catalog.COMMANDS[str(self.name)]
        own, arguments = [], []
        for parameter in self.get_params(ctx):
            help_text = str(getattr(parameter, "help", None) or "")
            if parameter.param_type_name == "argument":
                arguments.append((str(parameter.metavar), help_text))
            elif parameter.name not in catalog.GLOBAL_OPTIONS and parameter.name != "help":
                names = ", ".join(parameter.opts)
                term = f"{names} {parameter.metavar}" if parameter.metavar else names
                own.append((term, help_text))
        first = entry.path.split()[0]
        related = [
            (layout.call(other), other.summary)
            for other in catalog.COMMANDS.values()
            if other.path.split()[0] == first and other.path != entry.path
        ]
        text = layout.command_help(
            f"syncd {entry.path} [OPTIONS] {entry.arguments}".rstrip(),
            self.help or entry.summary,
            (
                ("Arguments", arguments),
                ("Options", own),
                ("Options of every command", layout.global_rows()),
                ("See also", related),
            ),
        )
        formatter.write(text)


class Program(TyperGroup):
    """All commands; a command's module is imported when the command is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - typer's private type
        """Return the commands in the order of the help."""
        return list(catalog.COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - the same
        """Return a command by its one or two words."""
        if cmd_name not in catalog.COMMANDS:
            return None
        module = importlib.import_module(f"syncd.cli.commands.{catalog.COMMANDS[cmd_name].family}")
        group = typer.main.get_command(module.app)
        return group.commands[cmd_name] if isinstance(group, TyperGroup) else group

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - the same
        """Write what ``syncd --help`` says."""
        formatter.write(layout.root_help())

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str, Any, list[str]]:  # noqa: ANN401
        """Find the command that the first one or two words name."""
        first = args[0]
        second = _second_word(args)
        if second is not None and f"{first} {args[second]}" in catalog.COMMANDS:
            name = f"{first} {args[second]}"
            return name, self.get_command(ctx, name), [*args[1:second], *args[second + 1 :]]
        if first in catalog.COMMANDS:
            return first, self.get_command(ctx, first), args[1:]
        below = [entry.path.removeprefix(f"{first} ") for entry in catalog.words_below(first)]
        if below and any(word in HELP_NAMES for word in args[1:]):
            typer.echo(layout.family_help(first))
            raise typer.Exit
        if below:
            ctx.fail(f"'{first}' takes one of: {', '.join(below)}.")
        near = get_close_matches(first, {path.split()[0] for path in catalog.COMMANDS})
        hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
        ctx.fail(f"There is no command {first!r}.{hint}")
        raise AssertionError  # pragma: no cover - ctx.fail always raises


def _second_word(args: list[str]) -> int | None:
    """Return where the second word stands; options of every command may stand before it."""
    at = 1
    while at < len(args):
        if args[at] == "--config":
            at += 2
        elif args[at].startswith("-"):
            at += 1
        else:
            return at
    return None


def _root(context: typer.Context, **values: Any) -> None:  # noqa: ANN401 - typer's values
    context.obj = _globals(**values)


def parse(words: list[str]) -> Call | int:
    """Return the call that the words ask for, or the exit code when help was all they wanted."""
    app = typer.Typer(
        cls=Program,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": [*HELP_NAMES]},
    )
    _take(_root, ())
    app.callback()(_root)
    answer = typer.main.get_command(app).main(words, prog_name="syncd", standalone_mode=False)
    return answer if isinstance(answer, Call) else int(answer or 0)
