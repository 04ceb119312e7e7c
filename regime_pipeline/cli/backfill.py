"""`regime backfill`: the chain for chosen markets and hours, through Dagster, in this process.

Backfills from the UI run the same assets through the daemon; see docs/partitions.md.
"""

from __future__ import annotations

from typing import Annotated

import typer

from regime_pipeline.cli.chain_runs import print_failures, print_site, run_chain, run_site
from regime_pipeline.cli.console import DATA_MISSING, PARTLY_DONE, err, print_summaries
from regime_pipeline.composition import open_workspace, read_universe
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market import HOUR_MS, Market
from regime_pipeline.domain.window import Window, to_ms
from regime_pipeline.services.markets_file import Universe
from regime_pipeline.services.summary import summarize
from regime_pipeline.services.workspace import system_clock
from regime_pipeline.settings import Settings


def backfill_command(
    market: Annotated[list[str] | None, typer.Option(help="A market, e.g. BTC-USDT_1h; repeat for more.")] = None,
    start: Annotated[str | None, typer.Option(help="First hour, ISO-8601 with offset.")] = None,
    end: Annotated[str | None, typer.Option(help="End (exclusive), ISO-8601 with offset.")] = None,
) -> None:
    """Materialize the whole chain for the chosen markets (default: all) and hours (default: all partitions).

    What is there already and unchanged is not written again.
    """
    settings = Settings()
    universe = read_universe(settings)
    markets = [universe.spec(Market.parse(text)).market for text in market] if market else list(universe.markets)
    window = chosen_window(universe, start, end)
    runs = run_chain(settings, markets, window)
    print_failures(runs)
    with open_workspace(settings) as workspace:
        summaries = [summarize(workspace.warehouse, each, window) for each in markets]
    print_summaries(summaries, f"Backfilled {window}")
    site_failure = run_site(settings)
    print_site(settings, site_failure)
    failed = sum(not run.is_success for run in runs)
    err.print(
        f"{sum(run.written for run in runs):,} hour partitions written, "
        f"{sum(run.unchanged for run in runs):,} unchanged, {failed} of {len(runs)} markets failed.",
        highlight=False,
    )
    if failed or site_failure:
        raise typer.Exit(DATA_MISSING if failed == len(runs) else PARTLY_DONE)


def chosen_window(universe: Universe, start: str | None, end: str | None) -> Window:
    """Return the hours asked for, by default every partition up to the last closed hour.

    Raises
    ------
    UsageError
        The span lies outside the partitions, or holds no whole hour.
    """
    last = system_clock() // HOUR_MS * HOUR_MS
    last = min(last, universe.end_ms) if universe.end_ms else last
    window = Window(to_ms(start) if start else universe.start_ms, to_ms(end) if end else last)
    if not len(window) or window.start_ms < universe.start_ms or window.end_ms > last:
        raise UsageError(
            f"{window} is not inside the partitions {Window(universe.start_ms, last)}.",
            "Change --start and --end, or the span in markets.toml.",
        )
    return window
