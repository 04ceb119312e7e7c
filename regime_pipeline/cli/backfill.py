"""`regime backfill`: the chain for chosen markets and hours, through Dagster.

In this process; where DAGSTER_HOME's instance hands runs to workers, through its daemon, as from the UI.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import dagster as dg
import typer
from rich.markup import escape

from regime_pipeline.bootstrap import build_definitions, open_databases, open_workspace, read_universe
from regime_pipeline.cli.console import DATA_MISSING, PARTLY_DONE, err, out, progress_bar
from regime_pipeline.cli.summaries import print_summaries
from regime_pipeline.dashboard.build import FOLDER
from regime_pipeline.dashboard.site.parts import INDEX
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.pipeline.instance import materialize_range, materialize_site, open_instance
from regime_pipeline.pipeline.remote_backfill import deployed_home, launch_backfill, watch_backfill
from regime_pipeline.services.chain.summary import summarize
from regime_pipeline.services.chain.workspace import system_clock
from regime_pipeline.services.universe import Universe
from regime_pipeline.settings import Settings
from regime_pipeline.storage.disk_room import require_room


@dataclass(frozen=True, slots=True)
class ChainRun:
    """One market's run: hour partitions written and unchanged, summed over the stages, and what failed."""

    market: Market
    is_success: bool
    written: int
    unchanged: int
    seconds: float
    failure: str


def run_chain(settings: Settings, markets: Sequence[Market], window: Window) -> list[ChainRun]:
    """Materialize every asset of the chain for each market's window, in one Dagster run per market."""
    urls = open_databases(settings)
    definitions = build_definitions(settings)
    runs = []
    with open_instance(settings.dagster_home, urls.dagster) as instance, progress_bar() as bar:
        task = bar.add_task("markets", total=len(markets))
        for market in markets:
            bar.update(task, description=f"{market}, {len(window)} hours")
            started = time.monotonic()
            require_room(settings.home)  # Dagster's own storage would try for most of a minute, market by market
            result = materialize_range(definitions, instance, market, market, window, settings.partition)
            runs.append(_report(market, result, time.monotonic() - started))
            bar.advance(task)
    return runs


def run_rectangle(
    settings: Settings, markets: Sequence[Market], window: Window, assets: Sequence[str] | None = None
) -> ChainRun:
    """Materialize the chain, or some of its assets, for markets that follow each other in one run for all of them."""
    urls = open_databases(settings)
    started = time.monotonic()
    with open_instance(settings.dagster_home, urls.dagster) as instance:
        definitions = build_definitions(settings)
        result = materialize_range(definitions, instance, markets[0], markets[-1], window, settings.partition, assets)
    return _report(markets[0], result, time.monotonic() - started)


def run_site(settings: Settings) -> str:
    """Materialize the dashboard through Dagster; return why it failed, empty where it did not."""
    urls = open_databases(settings)
    with open_instance(settings.dagster_home, urls.dagster) as instance:
        result = materialize_site(build_definitions(settings), instance)
    return _failure(result)


def _report(market: Market, result: dg.ExecuteInProcessResult, seconds: float) -> ChainRun:
    written, unchanged = (_total(result, name) for name in ("hours_written", "hours_unchanged"))
    return ChainRun(market, result.success, written, unchanged, seconds, _failure(result))


def _total(result: dg.ExecuteInProcessResult, name: str) -> int:
    """Sum of a figure that each stage reports of its whole run."""
    seen = [event.asset_observation_data.asset_observation for event in result.all_events if event.is_asset_observation]
    values = [observation.metadata.get(name) for observation in seen]
    return sum(value.value or 0 for value in values if isinstance(value, dg.IntMetadataValue))


def _failure(result: dg.ExecuteInProcessResult) -> str:
    failures = [event for event in result.all_events if event.is_step_failure]
    return "; ".join(f"{event.step_key}: {_cause(event)}" for event in failures)


def _cause(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else "no reason recorded"


def print_failures(runs: Sequence[ChainRun]) -> None:
    """Name every market that failed, with the reason."""
    for run in runs:
        if not run.is_success:
            err.print(f"[red]{run.market} failed[/]: {escape(run.failure)}", highlight=False, markup=True)


def print_site(settings: Settings, failure: str) -> None:
    """Name the page to open, or why there is none."""
    if failure:
        err.print(f"[red]The dashboard failed[/]: {escape(failure)}", highlight=False, markup=True)
    else:
        out.print(f"\nDashboard: open {settings.home / FOLDER / INDEX}", highlight=False, soft_wrap=True)


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
    markets = (
        [universe.spec(Market.parse(text, universe.symbols)).market for text in market]
        if market
        else list(universe.markets)
    )
    window = chosen_window(universe, start, end)
    home = deployed_home()
    if home is not None:
        _run_over_workers(settings, home, markets, window)
        return
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


def _run_over_workers(settings: Settings, home: Path, markets: Sequence[Market], window: Window) -> None:
    """Have the deployment's daemon run the backfill, and look on until it is over."""
    definitions = build_definitions(settings)
    with dg.DagsterInstance.from_config(str(home)) as instance, progress_bar() as bar:
        name = launch_backfill(definitions, instance, markets, window, settings.partition)
        err.print(f"Backfill {name} is the daemon's and its workers': it goes on if you press Ctrl-C.", highlight=False)
        task = bar.add_task("runs", total=len(markets))
        for progress in watch_backfill(instance, name):
            bar.update(task, completed=progress.ended, total=max(progress.runs, len(markets)))
    with open_workspace(settings) as workspace:
        summaries = [summarize(workspace.warehouse, each, window) for each in markets]
    print_summaries(summaries, f"Backfilled {window}")
    err.print(f"{name}: {progress.status}, {progress.ended} runs, {progress.failed} of them failed.", highlight=False)
    if not progress.is_success:
        raise typer.Exit(PARTLY_DONE)


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
