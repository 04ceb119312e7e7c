"""The command `regime`: mounts the commands and turns expected failures into sentences and exit codes.

See the module of each command for its work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Final

import typer
from rich.markup import escape

from regime_pipeline.cli.console import DATA_MISSING, USAGE, err, printable
from regime_pipeline.cli.db import db_app
from regime_pipeline.domain.errors import MissingDataError, RegimeError, StorageError, UsageError
from regime_pipeline.policy import PolicyError


def make_app(command: str) -> typer.Typer:
    """Return a new command line: with `regime db` and the named command where that is a quick one, else with all.

    It is made again each time, since commands that were mounted on one cannot be taken away again.
    """
    app = typer.Typer(
        name="regime",
        help="Which regime is a market in, why, and what should a grid do about it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.add_typer(db_app, name="db")
    _MOUNTS.get(command, _mount)(app)
    return app


def _mount(app: typer.Typer) -> None:
    """Mount the commands that need Dagster or the engine; imported here so that `regime db` stays quick."""
    from regime_pipeline.cli.alerts import alerts_app
    from regime_pipeline.cli.analyze import analyze_command, analyze_range_command, explain_command
    from regime_pipeline.cli.backfill import backfill_command
    from regime_pipeline.cli.backtest import backtest_command
    from regime_pipeline.cli.benchmark import benchmark_app, verify_command
    from regime_pipeline.cli.dashboard import dashboard_app
    from regime_pipeline.cli.demo import demo_command
    from regime_pipeline.cli.doctor import doctor_command
    from regime_pipeline.cli.export import export_command, lake_command
    from regime_pipeline.cli.gates import gates_app
    from regime_pipeline.cli.grid import grid_app
    from regime_pipeline.cli.hold import hold_command
    from regime_pipeline.cli.import_files import import_command
    from regime_pipeline.cli.markets import markets_app
    from regime_pipeline.cli.sensors import sensors_app
    from regime_pipeline.cli.serve import keys_app, serve_command
    from regime_pipeline.cli.status import status_command
    from regime_pipeline.cli.up import up_command

    app.add_typer(benchmark_app, name="benchmark")
    app.add_typer(grid_app, name="grid")
    app.add_typer(gates_app, name="gates")
    app.add_typer(markets_app, name="markets")
    app.add_typer(keys_app, name="keys")
    app.add_typer(sensors_app, name="sensors")
    app.add_typer(alerts_app, name="alerts")
    app.command("serve")(serve_command)
    app.add_typer(dashboard_app, name="dashboard")
    app.command("demo")(demo_command)
    app.command("status")(status_command)
    app.command("up")(up_command)
    app.command("import")(import_command)
    app.command("backfill")(backfill_command)
    app.command("export")(export_command)
    app.command("analyze")(analyze_command)
    app.command("analyze-range")(analyze_range_command)
    app.command("explain")(explain_command)
    app.command("hold")(hold_command)
    app.command("backtest")(backtest_command)
    app.command("exchange-simulator")(_exchange_simulator())
    app.command("lake")(lake_command)
    app.command("doctor")(doctor_command)
    app.command("verify-causality")(verify_command)
    _mount_mcp(app)


def _exchange_simulator() -> Callable[..., None]:
    """Return the command of the local exchange, which is test support and comes with the repository, not the wheel."""
    try:
        command: Callable[..., None] = import_module(_EXCHANGE_SIMULATOR).exchange_simulator_command
    except ModuleNotFoundError:
        return _without_repository
    return command


def _without_repository() -> None:
    """Serve a local exchange; comes with the repository, not with the installed package."""
    raise UsageError("The exchange simulator is not part of the installed package.", "Run it from a git checkout.")


def _mount_mcp(app: typer.Typer) -> None:
    """Mount `regime mcp` alone: it needs no Dagster, and the hosts that start it wait for it."""
    from regime_pipeline.cli.mcp import mcp_command

    app.command("mcp")(mcp_command)


_EXCHANGE_SIMULATOR: Final = "regime_pipeline_tests.exchange_simulator.command"
_MOUNTS: Final[dict[str, Callable[[typer.Typer], None]]] = {"db": lambda _: None, "mcp": _mount_mcp}
"""Commands that must start quickly, and what they need; every other one needs everything."""


def main() -> None:
    """Run the command line; a `RegimeError` becomes one sentence and an exit code, never a traceback."""
    try:
        make_app("".join(sys.argv[1:2]))()
    except (RegimeError, PolicyError) as error:
        err.print(f"[red]Error:[/] {escape(printable(str(error)))}", highlight=False, markup=True, soft_wrap=True)
        raise SystemExit(DATA_MISSING if isinstance(error, MissingDataError | StorageError) else USAGE) from None
