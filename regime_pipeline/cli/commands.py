"""The list of commands: where each is, its line in the help, and the group it is shown in.

The help is made of this list alone, and a command's module is imported when it is called: nobody waits for Dagster to
read what there is. A test holds every line to the command's own first sentence.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class CommandEntry(NamedTuple):
    """A command: `module:name` of its function or `typer.Typer`, its line in the help, and its group there.

    Of a command with `has_moments` an argument may be a moment such as `-6h`, which looks like an option.
    """

    place: str
    help: str
    group: str
    has_moments: bool = False


START, OPERATE, ANALYSE, SERVE, MAINTAIN = "Start here", "Operate", "Analyse", "Serve", "Maintain"
COMMANDS: Final[dict[str, CommandEntry]] = {
    "demo": CommandEntry(
        "demo:demo_command",
        "Simulate five markets up to this hour, run the whole chain, show what each does now and where to look.",
        START,
    ),
    "init": CommandEntry(
        "init:init_command", "Write a markets.toml to begin with: one simulated market, and how to list others.", START
    ),
    "up": CommandEntry(
        "up:up_command",
        "Start the database, Dagster's UI and its daemon, and serve dashboard and API; stop all of them with Ctrl-C.",
        START,
    ),
    "status": CommandEntry(
        "status:status_command", "Show what every market does now, and what needs attention first.", START
    ),
    "import": CommandEntry(
        "import_files:import_command",
        "Import candle files: all of them, or nothing when one is refused.",
        START,
    ),
    "markets": CommandEntry("markets:markets_app", "The markets and where their candles come from.", OPERATE),
    "backfill": CommandEntry(
        "backfill:backfill_command",
        "Materialize the whole chain for the chosen markets (default: all) and hours (default: all partitions).",
        OPERATE,
    ),
    "grid": CommandEntry("grid:grid_app", "The configured grids: versions, advice, log, exchange of files.", OPERATE),
    "gates": CommandEntry("gates:gates_app", "Stops of grids and the gates of their restart.", OPERATE),
    "sensors": CommandEntry("sensors:sensors_app", "What runs by itself while `regime up` runs.", OPERATE),
    "alerts": CommandEntry("alerts:alerts_app", "Who is notified of what happens.", OPERATE),
    "hold": CommandEntry(
        "hold:hold_command",
        "Say how probable it is that every close of the next hours stays inside a band.",
        ANALYSE,
    ),
    "explain": CommandEntry(
        "analyze:explain_command",
        "Explain an hour's verdict in sentences: what decided it, what spoke against it, what else it could have been.",
        ANALYSE,
        has_moments=True,
    ),
    "analyze": CommandEntry(
        "analyze:analyze_command",
        "Say which regime an hour was in: verdict, confidence, scores, range, alternatives and factors.",
        ANALYSE,
        has_moments=True,
    ),
    "analyze-range": CommandEntry(
        "analyze:analyze_range_command",
        "Say which regime every hour of a range was in, market by market, in parallel.",
        ANALYSE,
    ),
    "backtest": CommandEntry(
        "backtest:backtest_command",
        "Judge the verdicts of a span: how they divide, how long they last, what came after; write a report.",
        ANALYSE,
    ),
    "verify-causality": CommandEntry(
        "benchmark:verify_command",
        "Verify that no regime and no verdict of your candles depends on later candles; exit code 3 if one does.",
        ANALYSE,
    ),
    "benchmark": CommandEntry(
        "benchmark:benchmark_app", "Compare accuracy with baseline models; measure speed.", ANALYSE
    ),
    "dashboard": CommandEntry("dashboard:dashboard_app", "A static web site of every market: no server needed.", SERVE),
    "serve": CommandEntry("serve:serve_command", "Serve the HTTP API; its documentation is at /docs.", SERVE),
    "mcp": CommandEntry("mcp:mcp_command", "Serve read-only tools to AI agents by the Model Context Protocol.", SERVE),
    "keys": CommandEntry("serve:keys_app", "Keys of the HTTP API.", SERVE),
    "doctor": CommandEntry(
        "doctor:doctor_command",
        "Check settings, markets, policy, database and stored rows; exit code 3 when something needs you.",
        MAINTAIN,
    ),
    "db": CommandEntry("db:db_app", "The database: embedded server, schema, URL.", MAINTAIN),
    "export": CommandEntry(
        "export:export_command",
        "Write one hour's snapshot, as a bundle for `regime_pipeline.analyze_snapshot` if wanted, or many as YAML.",
        MAINTAIN,
    ),
    "lake": CommandEntry(
        "export:lake_command",
        "Write the stored tables as Parquet by symbol, timeframe and month; only what changed since the last time.",
        MAINTAIN,
    ),
    "exchange-simulator": CommandEntry(
        "simulator:exchange_simulator_command",
        "Serve a local exchange: the REST forms of Binance and KuCoin, the bulk archive, and faults on demand.",
        MAINTAIN,
    ),
}
"""In the order of the help."""
