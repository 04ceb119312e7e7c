"""The command `regime`: mounts the commands and turns expected failures into sentences and exit codes.

No command's work belongs here.
"""

from __future__ import annotations

import sys

import typer
from rich.markup import escape

from regime_pipeline.cli.console import DATA_MISSING, USAGE, err
from regime_pipeline.cli.db import db_app
from regime_pipeline.domain.errors import MissingDataError, RegimeError, StorageError
from regime_pipeline.policy import PolicyError

app = typer.Typer(
    name="regime",
    help="Which regime is a market in, why, and what should a grid do about it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(db_app, name="db")


def _mount() -> None:
    """Mount the commands that need Dagster or the engine; imported here so that `regime db` stays quick."""
    from regime_pipeline.cli.backfill import backfill_command
    from regime_pipeline.cli.benchmark import benchmark_app
    from regime_pipeline.cli.dashboard import dashboard_app
    from regime_pipeline.cli.demo import demo_command
    from regime_pipeline.cli.doctor import doctor_command
    from regime_pipeline.cli.export import export_command
    from regime_pipeline.cli.gates import gates_app
    from regime_pipeline.cli.grid import grid_app
    from regime_pipeline.cli.import_files import import_command
    from regime_pipeline.cli.up import up_command
    from regime_pipeline.cli.verify import verify_command

    app.add_typer(benchmark_app, name="benchmark")
    app.add_typer(grid_app, name="grid")
    app.add_typer(gates_app, name="gates")
    app.add_typer(dashboard_app, name="dashboard")
    app.command("demo")(demo_command)
    app.command("up")(up_command)
    app.command("import")(import_command)
    app.command("backfill")(backfill_command)
    app.command("export")(export_command)
    app.command("doctor")(doctor_command)
    app.command("verify-causality")(verify_command)


def main() -> None:
    """Run the command line; a `RegimeError` becomes one sentence and an exit code, never a traceback."""
    try:
        if sys.argv[1:2] != ["db"]:
            _mount()
        app()
    except (RegimeError, PolicyError) as error:
        err.print(f"[red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(DATA_MISSING if isinstance(error, MissingDataError | StorageError) else USAGE) from None
