"""`regime demo`: five simulated markets with a story each, through the whole chain, up to the current hour.

It uses the same parts as every other command; see `services.demo` for the stories.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import typer

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.cli.backfill import ChainRun, print_failures, run_rectangle, run_site
from regime_pipeline.cli.console import PARTLY_DONE, err, out
from regime_pipeline.cli.status import screen
from regime_pipeline.dashboard.build import FOLDER
from regime_pipeline.dashboard.site.parts import INDEX
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.chain.summary import summarize
from regime_pipeline.services.chain.workspace import Workspace, system_clock
from regime_pipeline.services.demo import (
    HISTORY_ASSETS,
    SHOWN_HOURS,
    add_demo_grids,
    demo_specs,
    demo_windows,
    ensure_demo_markets,
)
from regime_pipeline.services.queries.overview import overview
from regime_pipeline.services.stop_worth import StopWorth, stop_worth
from regime_pipeline.services.universe import load_universe
from regime_pipeline.settings import Settings

_A_DAY: Final = 24


def demo_command() -> None:
    """Simulate five markets up to this hour, run the whole chain, show what each does now and where to look.

    Needs a home of its own: an empty one, or the demo's. Again later, it brings the same markets up to date.
    """
    now_ms = system_clock()
    settings = demo_settings(now_ms)
    universe = read_universe(settings)
    history, shown = demo_windows(universe, now_ms)
    markets = [spec.market for spec in demo_specs(universe)]
    err.print(
        f"Simulating {len(markets)} markets: {len(history)} hours of history, then {len(shown)} hours up to "
        f"{to_iso(shown.end_ms)}.",
        highlight=False,
    )
    started = time.monotonic()
    with open_workspace(settings) as workspace:
        add_demo_grids(workspace, shown)
    runs = [run_rectangle(settings, markets, history, HISTORY_ASSETS), run_rectangle(settings, markets, shown)]
    print_failures(runs)
    site_failure = run_site(settings)
    seconds = time.monotonic() - started
    with open_workspace(settings) as workspace:
        _print_screen(workspace, markets, shown)
    _print_work(runs, seconds)
    _print_next(settings, len(shown) - SHOWN_HOURS)
    if site_failure:
        err.print(f"The dashboard failed: {site_failure}", style="red", highlight=False)
    if site_failure or not all(run.is_success for run in runs):
        raise typer.Exit(PARTLY_DONE)


def demo_settings(now_ms: int) -> Settings:
    """Return the settings of the demo's home, with its markets file there.

    Raises
    ------
    UsageError
        The home is another project's.
    """
    found = Settings()
    path = found.markets if "markets" in found.model_fields_set else found.home / "markets.toml"
    ensure_demo_markets(path, now_ms, _is_occupied(found))
    return Settings()  # the markets file of the home wins now that it is there


def _is_occupied(settings: Settings) -> bool:
    """Whether hours were stored in the home, or its markets file lists more than simulated markets."""
    listed = load_universe(settings.markets).specs if settings.markets.exists() else ()
    return (settings.home / "snapshots").exists() or any(spec.source != "simulated" for spec in listed)


def _print_screen(ws: Workspace, markets: list[Market], shown: Window) -> None:
    rows = overview(ws, markets)
    out.print(screen(rows, ws.clock()))
    for market in markets:
        for config in ws.warehouse.grids.history(market.symbol)[-1:]:
            worth = stop_worth(ws, market, config, shown.end_ms) if _has_left(rows, market) else None
            if worth is not None:
                out.print()
                out.print("What its advice was worth", style="bold")
                out.print(worth_sentence(worth), highlight=False)
    out.print()
    out.print(_shares(ws, markets, shown), highlight=False)


def _has_left(rows: list[dict[str, Any]], market: Market) -> bool:
    return any(row["symbol"] == market.symbol and row["attention"] == "OUTSIDE" for row in rows)


def worth_sentence(worth: StopWorth) -> str:
    """Say when the advice came, when the price left the grid, and what following the advice saved or cost."""
    config, quote = worth.config, worth.config.symbol.split("-")[1]
    left = ""
    if worth.left_ms is not None:
        hours = (worth.left_ms - worth.advised_ms) // HOUR_MS
        left = f", {hours} h before the price left the grid" if hours > 0 else ", after the price had left the grid"
    verb = "saved" if worth.saved >= 0 else "lost"
    share = abs(worth.saved) / float(config.allocation_quote)
    return (
        f"{config.symbol}: the advice to stop placing orders came at {to_iso(worth.advised_ms)}{left}. Of "
        f"{config.allocation_quote:,f} {quote}, a grid that heeded it and kept what it had bought has "
        f"{worth.followed:,.2f} now; one left running has {worth.ignored:,.2f}. Heeding it {verb} "
        f"{abs(worth.saved):,.2f} {quote} ({share:.1%})."
    )


def _shares(ws: Workspace, markets: list[Market], shown: Window) -> str:
    found = [summarize(ws.warehouse, market, shown) for market in markets]
    decided = min(1.0 - summary.shares.get(VERDICTS[0], 1.0) for summary in found)
    ranging = sum(summary.shares.get("RANGE_OK", 0.0) > 0 for summary in found)
    return (
        f"Every market has a verdict in {decided:.0%} of the {len(shown)} shown hours or more; "
        f"{ranging} of {len(found)} were RANGE_OK at some time."
    )


def _print_work(runs: list[ChainRun], seconds: float) -> None:
    written, unchanged = sum(run.written for run in runs), sum(run.unchanged for run in runs)
    already = " (everything was there already)" if unchanged and not written else ""
    err.print(
        f"{seconds:.0f} s: {written:,} hour partitions written, {unchanged:,} unchanged{already}.", highlight=False
    )


def _print_next(settings: Settings, hours_after: int) -> None:
    site, here = settings.home / FOLDER / INDEX, Path.cwd()
    lines = [
        f"  open {site.relative_to(here) if site.is_relative_to(here) else site}",
        "      the dashboard: every market, why, and playback",
        "  regime up",
        "      the same, live: Dagster UI, dashboard, HTTP API",
        "  regime status --watch",
        "      this table, kept up to date",
        "  regime grid advice BRAVO-USDT_1h",
        "      an advice in sentences with numbers",
        "  regime gates show CHARLIE-USDT",
        "      what a restart waited for",
        "  REGIME_HOME=btc regime import FILES… --market BTC-USDT_1m",
        "      your own candles, in a home of their own",
    ]
    out.print()
    out.print("Where to look next", style="bold")
    out.print("\n".join(lines), highlight=False, soft_wrap=True)
    if hours_after > _A_DAY:
        err.print(f"The stories ended {hours_after} h ago; for new ones: REGIME_HOME=demo regime demo", highlight=False)
