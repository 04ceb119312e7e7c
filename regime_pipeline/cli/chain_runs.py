"""Runs the chain through Dagster in this process, market by market, and reports what was written.

Which markets and hours are run is each command's business.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
from rich.markup import escape

from regime_pipeline.cli.console import err, out, progress_bar
from regime_pipeline.composition import build_definitions, open_databases
from regime_pipeline.dashboard.site import INDEX
from regime_pipeline.domain.market import Market
from regime_pipeline.domain.window import Window
from regime_pipeline.pipeline.instance import materialize_range, materialize_site, open_instance
from regime_pipeline.services.dashboard_site import FOLDER
from regime_pipeline.settings import Settings


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
            result = materialize_range(definitions, instance, market, market, window, settings.partition)
            runs.append(_report(market, result, time.monotonic() - started))
            bar.advance(task)
    return runs


def run_site(settings: Settings) -> str:
    """Materialize the dashboard through Dagster; return why it failed, empty where it did not."""
    urls = open_databases(settings)
    with open_instance(settings.dagster_home, urls.dagster) as instance:
        result = materialize_site(build_definitions(settings), instance)
    return _failure(result)


def _report(market: Market, result: dg.ExecuteInProcessResult, seconds: float) -> ChainRun:
    counts = {"hours_written": 0, "hours_unchanged": 0}
    for event in result.filter_events(lambda e: e.is_step_success):
        metadata = _first_materialization_metadata(result, event.step_key)
        for name in counts:
            value = metadata.get(name)
            counts[name] += (value.value or 0) if isinstance(value, dg.IntMetadataValue) else 0
    written, unchanged = counts["hours_written"], counts["hours_unchanged"]
    return ChainRun(market, result.success, written, unchanged, seconds, _failure(result))


def _failure(result: dg.ExecuteInProcessResult) -> str:
    failures = [event for event in result.all_events if event.is_step_failure]
    return "; ".join(f"{event.step_key}: {_cause(event)}" for event in failures)


def _first_materialization_metadata(
    result: dg.ExecuteInProcessResult, step_key: str | None
) -> dict[str, dg.MetadataValue]:
    found = next(
        (e for e in result.all_events if e.is_step_materialization and e.step_key == step_key),
        None,
    )
    return dict(found.step_materialization_data.materialization.metadata) if found else {}


def _cause(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else "no reason recorded"


def print_failures(runs: Sequence[ChainRun]) -> None:
    """Name every market that failed, with the reason."""
    for run in runs:
        if not run.is_success:
            err.print(f"[red]{run.market} failed[/]: {escape(run.failure)}", highlight=False)


def print_site(settings: Settings, failure: str) -> None:
    """Name the page to open, or why there is none."""
    if failure:
        err.print(f"[red]The dashboard failed[/]: {escape(failure)}", highlight=False)
    else:
        out.print(f"\nDashboard: open {settings.home / FOLDER / INDEX}", highlight=False, soft_wrap=True)
