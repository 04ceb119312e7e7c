"""`regime demo`: simulated markets through the whole chain, and what came out.

It uses the same parts as every other command; only the grids and the printed tour are its own.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.cli.backfill import ChainRun, print_failures, print_site, run_chain, run_site
from regime_pipeline.cli.console import PARTLY_DONE, out
from regime_pipeline.cli.summaries import print_summaries
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.summary import summarize
from regime_pipeline.services.demo_grids import add_demo_grids
from regime_pipeline.settings import Settings


def demo_command(
    days: Annotated[int, typer.Option(min=1, max=400, help="Days from the first partition on.")] = 15,
) -> None:
    """Simulate markets, materialize the whole chain through Dagster, show the verdicts and what to do next."""
    settings = Settings()
    universe = read_universe(settings)
    window = Window(universe.start_ms, universe.start_ms + days * 24 * HOUR_MS)
    out.print(f"Simulating {len(universe.markets)} markets, {window} ({len(window)} hours each).", highlight=False)
    started = time.monotonic()
    with open_workspace(settings) as workspace:
        add_demo_grids(workspace, window)
    runs = run_chain(settings, universe.markets, window)
    print_failures(runs)
    site_failure = run_site(settings)
    with open_workspace(settings) as workspace:
        summaries = [summarize(workspace.warehouse, market, window) for market in universe.markets]
    print_summaries(summaries, "Regimes found")
    _print_work(runs, time.monotonic() - started)
    _print_next(settings)
    print_site(settings, site_failure)
    if site_failure or not all(run.is_success for run in runs):
        raise typer.Exit(PARTLY_DONE)


def _print_work(runs: list[ChainRun], seconds: float) -> None:
    written, unchanged = sum(run.written for run in runs), sum(run.unchanged for run in runs)
    out.print(
        f"{len(runs)} Dagster runs in {seconds:.0f} s: {written:,} hour partitions written, {unchanged:,} unchanged"
        f"{' (everything was there already)' if unchanged and not written else ''}.",
        highlight=False,
    )


def _print_next(settings: Settings) -> None:
    here = Path.cwd()
    home = settings.home.relative_to(here) if settings.home.is_relative_to(here) else settings.home
    lines = [
        "",
        "[bold]Where things are[/]",
        f"  snapshots   {escape(settings.snapshot_root)}",
        "  tables      regime db start; psql $(regime db url) -c 'TABLE market_regimes LIMIT 10'",
        f"  instance    {escape(str(home))}/dagster",
        "",
        "[bold]What to do next[/]",
        "  make dev                                        the Dagster UI: lineage, backfills, every row's run",
        "  regime import FILES… --market BTC-USDT_1m       your own candles, in a project home of their own:",
        "      export REGIME_HOME=~/regime-btc             (see README, 'A five-minute tour')",
        "  regime backfill                                 every market and hour that is missing or changed",
    ]
    out.print("\n".join(lines), highlight=False, soft_wrap=True, markup=True)
