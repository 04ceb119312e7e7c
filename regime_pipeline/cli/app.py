"""The command `regime`: finds the command that is called, turns expected failures into sentences and exit codes.

See `commands` for the list, the module of each command for its work.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.models import CommandInfo

from regime_pipeline import __version__
from regime_pipeline.cli.commands import COMMANDS
from regime_pipeline.cli.console import DATA_MISSING, USAGE, err, printable
from regime_pipeline.domain.errors import MissingDataError, RegimeError, StorageError

_OF_THE_API = ("fastapi", "fastapi_offline", "httptools", "prometheus_client", "starlette", "uvicorn")


class LazyCommands(TyperGroup):
    """A group that imports a command when it is called, and lists them without importing any.

    Typer carries a click of its own, under private names: its types are `Any` here.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"commands": {name: TyperCommand(name) for name in COMMANDS}})

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        """Return every command in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - click's signature
        """Return a command, None where there is none of that name."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help from the list alone, in plain text: boxes would take longer to load than all of it."""
        self.rich_markup_mode = None
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - click's signature
        """Write the commands, group by group."""
        for group in dict.fromkeys(entry.group for entry in COMMANDS.values()):
            with formatter.section(group):
                formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items() if entry.group == group])


def load_command(name: str) -> Any:
    """Import a command and return it under its name."""
    entry = COMMANDS[name]
    module, _, attribute = entry.place.partition(":")
    found = getattr(import_module(f"regime_pipeline.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        settings = {"ignore_unknown_options": True} if entry.has_moments else None
        alone.registered_commands.append(CommandInfo(name=name, callback=found, context_settings=settings))
        found = alone
    command = get_command(found)
    command.name = name
    return command


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"regime-pipeline {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="regime",
    cls=LazyCommands,
    help="Which regime is a market in, why, and what should a grid do about it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Which regime is a market in, why, and what should a grid do about it."""


def main() -> None:
    """Run the command line; a `RegimeError` becomes one sentence and an exit code, never a traceback."""
    if sys.getfilesystemencoding() != "utf-8":
        _restart_in_utf8()
    try:
        app()
    except ModuleNotFoundError as error:
        _say_what_to_install(error)
    except _expected() as error:
        _end((isinstance(error, StorageError) and _room_fault(error)) or error)
    except Exception as error:
        fault = _room_fault(error)
        if fault is None:
            raise
        _end(fault)


def _restart_in_utf8() -> NoReturn:
    """Restart this process in Python's UTF-8 mode, and all that it starts: other encodings lack what we print."""
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - this very command


def _end(error: Exception) -> NoReturn:
    err.print(f"[red]Error:[/] {escape(printable(str(error)))}", highlight=False, markup=True, soft_wrap=True)
    raise SystemExit(DATA_MISSING if isinstance(error, MissingDataError | StorageError) else USAGE) from None


def _room_fault(error: Exception) -> StorageError | None:
    """Return the sentence for what a full disk has broken; None where the disk is not the reason."""
    from regime_pipeline.settings import Settings
    from regime_pipeline.storage.disk_room import room_fault

    try:
        return room_fault(error, Settings().home)
    except RegimeError:
        return None


def _say_what_to_install(missing: ModuleNotFoundError) -> None:
    """Name the extra that brings a missing package; what is missing of our own is our fault, not the user's."""
    package = str(missing.name).partition(".")[0]
    if package in ("", "None", "regime_pipeline"):
        raise missing
    extra = "api" if package in _OF_THE_API else "pipeline"
    err.print(
        f"[red]Error:[/] This command needs {escape(package)}, which is not installed. "
        f"Run pip install 'regime-pipeline\\[{extra}]'.",
        highlight=False,
        markup=True,
        soft_wrap=True,
    )
    raise SystemExit(USAGE) from None


def _expected() -> tuple[type[Exception], ...]:
    """Return the failures that a user can act on; the policy's, too, where it was loaded at all."""
    policy = sys.modules.get("regime_pipeline.policy.section")
    return (RegimeError,) if policy is None else (RegimeError, policy.PolicyError)
