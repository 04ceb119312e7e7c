"""The demonstration: five simulated markets, each from where its story begins, up to the current hour.

Only the stretch of the simulation and what the owner of a grid did are chosen; verdicts, advice and gates are computed
as for any market. See `stop_worth` for what the advice on a grid was worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.defaults import defaults_for
from regime_pipeline.domain.grids.versions import new_version
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import MANUAL
from regime_pipeline.services.universe import MarketSpec, Universe, load_universe

WHO: Final = "demo"
HISTORY_HOURS: Final = 318
"""Hours before the shown ones: 168 bars of the first window, and 150 observations to rank the first shown one in."""
SHOWN_HOURS: Final = 14 * 24
HISTORY_ASSETS: Final = ("raw_candles", "hourly_snapshots", "features")
"""What the hours before the shown ones need: they have no verdict yet."""
_TIMEFRAME: Final = "1h"


@dataclass(frozen=True, slots=True)
class Story:
    """One market of the demonstration.

    Parameters
    ----------
    symbol : str
        Which simulated market.
    simulated_from : str
        Moment of the simulation with which its history begins, ISO-8601.
    tells : str
        What happens, for readers of the markets file.
    grid_hour, stop_hour : int, optional
        Shown hours after which its owner lays a grid around the price, and stops it.
    """

    symbol: str
    simulated_from: str
    tells: str
    grid_hour: int | None = None
    stop_hour: int | None = None


STORIES: Final = (
    Story("ALFA-USDT", "2019-04-13T20:00:00Z", "ranges, inside its grid", 270),
    Story("BRAVO-USDT", "2018-01-21T02:00:00Z", "ranges, then leaves its grid", 88),
    Story("CHARLIE-USDT", "2019-02-03T09:00:00Z", "its grid was stopped; a restart is permitted", 192, 222),
    Story("DELTA-USDT", "2021-03-11T02:00:00Z", "trends, without a grid"),
    Story("ECHO-USDT", "2018-10-20T02:00:00Z", "is quiet, without a grid"),
)
"""Found by a search through the simulation with the default seed; a test asserts that each does what it tells."""


def ensure_demo_markets(path: Path, now_ms: int, occupied: bool) -> None:
    """Write the demonstration's markets file unless it is there.

    Parameters
    ----------
    path : Path
        Where it stands.
    now_ms : int
        The shown hours end with the last one closed by then, epoch milliseconds UTC.
    occupied : bool
        Whether the home already holds a project.

    Raises
    ------
    UsageError
        The file, or the home, is of another project.
    """
    is_other = not demo_specs(load_universe(path)) if path.exists() else occupied
    if is_other:
        raise UsageError(
            f"{path.parent} holds a project of its own.", "Give the demo another home: REGIME_HOME=demo regime demo"
        )
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_markets_text(now_ms // HOUR_MS * HOUR_MS), "utf-8")


def _markets_text(end_ms: int) -> str:
    start = to_iso(end_ms - (HISTORY_HOURS + SHOWN_HOURS) * HOUR_MS)
    head = (
        "# The markets of `regime demo`: each is a stretch of the simulation that tells a story. simulated_from is\n"
        "# the moment of the simulation that stands at the first partition. Your own markets go in another home.\n\n"
        f"[partitions]\nstart = {start}\n"
    )
    return head + "".join(
        f'\n[[markets]]  # {story.tells}\nsymbol = "{story.symbol}"\ntimeframes = ["{_TIMEFRAME}"]\n'
        f'source = "simulated"\nsimulated_from = {story.simulated_from}\n'
        for story in STORIES
    )


def demo_specs(universe: Universe) -> tuple[MarketSpec, ...]:
    """Return the demonstration's markets among those listed, in their order."""
    return tuple(spec for spec in universe.specs if spec.simulated_from_ms is not None)


def demo_windows(universe: Universe, now_ms: int) -> tuple[Window, Window]:
    """Return the hours of history and, up to the last one closed by `now_ms`, the shown ones."""
    first = universe.start_ms + HISTORY_HOURS * HOUR_MS
    return Window(universe.start_ms, first), Window(first, now_ms // HOUR_MS * HOUR_MS)


def add_demo_grids(ws: Workspace, shown: Window) -> list[str]:
    """Lay and stop the grids of the stories; a symbol that has a grid, or no price yet, is left alone.

    Returns
    -------
    list of str
        Symbols that got a grid. The edges are the policy's defaults around the price at that time.
    """
    stories = {story.symbol: story for story in STORIES if story.grid_hour is not None}
    chosen = [(spec.market, stories[spec.market.symbol]) for spec in ws.universe.specs if spec.market.symbol in stories]
    return [story.symbol for market, story in chosen if _add_grid(ws, market, story, shown.start_ms)]


def _add_grid(ws: Workspace, market: Market, story: Story, start_ms: int) -> bool:
    grids, when_ms = ws.warehouse.grids, start_ms + (story.grid_hour or 0) * HOUR_MS
    bars = ws.source_of(market).fetch(market, when_ms - 24 * HOUR_MS, when_ms).candles.closed_by(when_ms)
    if grids.history(market.symbol) or not len(bars):
        return False
    tick = Decimal(1) / bars.price_scale
    fields = defaults_for(market.symbol, int(bars.close[-1]) * tick, tick, ws.policy) | {"enabled": True}
    first = new_version((), fields, expected_version=0, who=WHO, when=_moment(when_ms), why="a first grid")
    run_id = ws.start_run("")
    grids.append(first[-1], run_id)
    if story.stop_hour is not None:
        stop_ms, off = start_ms + story.stop_hour * HOUR_MS, {"enabled": False}
        why = "followed the advice to stop placing"
        second = new_version(first, off, expected_version=1, who=WHO, when=_moment(stop_ms), why=why)
        grids.append(second[-1], run_id, StopEvent(market.symbol, stop_ms, MANUAL, WHO, why))
    return True


def _moment(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
