"""What live operation must run next: closed hours not requested yet, and hours that corrections have made stale.

Pure planning over a workspace. See `pipeline.sensors` for launching runs and keeping the cursor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.market_data.completeness import MISSING
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.services.chain.reading import ask_by_venue, unless_failed
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import NETWORK_SOURCES, Universe
from regime_pipeline.storage.bulk.stale_ranges import StaleRange, recorded_spans

RECHECK_HOURS: Final = 72
"""How far back an hour that a source could not answer for is asked for again, and every hour once a day."""
CLOCK_TOLERANCE_MS: Final = 300_000
"""How far a source's clock may be ahead of ours: five minutes, more than a machine that keeps time is ever wrong."""
LIVE_SOURCES: Final = frozenset({"simulated", "exchange", "archive"})
"""Sources that may know more later; imported files do not."""


@dataclass(frozen=True, slots=True)
class SourceFrontier:
    """How far the sources are.

    Parameters
    ----------
    closed_ms : int or None
        End of the newest hour that some source has closed, epoch milliseconds UTC; None while no source has.
    failures : tuple of str
        Sources that could not be asked, in words.
    """

    closed_ms: int | None
    failures: tuple[str, ...]


def frontier(ws: Workspace) -> SourceFrontier:
    """Ask the sources for their newest closed bars, venues at the same time; one that fails holds up no other.

    Notes
    -----
    Never beyond our own clock plus `CLOCK_TOLERANCE_MS`: a source that says so has failed, by name. Believed, a wrong
    clock of one exchange would send every market's cursor into the future, and no hour would run until then.
    """
    limit = ws.clock() + CLOCK_TOLERANCE_MS
    newest: list[int] = []
    failures: list[str] = []
    markets = _one_of_each_clock(ws.universe)

    def ask(market: Market) -> int | RegimeError | None:
        return unless_failed(lambda: ws.source_of(market).newest_closed_ms(market))

    answers = ask_by_venue(ws, markets, lambda market: market, ask)
    for market, closed in zip(markets, answers, strict=True):
        if isinstance(closed, RegimeError):
            failures.append(str(closed))
        elif closed is not None and closed > limit:
            failures.append(
                f"The source of {market} says that {to_iso(closed)} has passed and our clock {to_iso(ws.clock())}: "
                "the source is not believed. One of the two clocks is wrong."
            )
        elif closed is not None:
            newest.append(closed // HOUR_MS * HOUR_MS)
    return SourceFrontier(max(newest, default=None), tuple(failures))


def _one_of_each_clock(universe: Universe) -> list[Market]:
    """Markets of all sources, of an exchange one a timeframe: its clock says the same of all that still trade there."""
    found: dict[object, Market] = {}
    for spec in universe.specs:
        is_remote = spec.source in NETWORK_SOURCES and spec.until_ms is None
        found.setdefault((spec.exchange, spec.market.timeframe) if is_remote else spec.market, spec.market)
    return list(found.values())


def repaired_cursor(ws: Workspace, cursor_ms: int | None) -> int | None:
    """Return the cursor itself, or the end of the newest stored hour where the cursor is ahead of our clock.

    Parameters
    ----------
    cursor_ms : int or None
        End of the last hour asked for, epoch milliseconds UTC.

    Notes
    -----
    A cursor in the future was set while some clock was wrong. The hours up to it were asked for and could not be had;
    what is stored says how far live operation really came. None, as at the first tick, where nothing is.
    """
    limit = ws.clock() + CLOCK_TOLERANCE_MS
    if cursor_ms is None or cursor_ms <= limit:
        return cursor_ms
    newest = [ws.warehouse.last_partition(STAGES[0].table, market) for market in ws.universe.markets]
    return max((hour + HOUR_MS for hour in newest if hour is not None and hour + HOUR_MS <= limit), default=None)


def recheck_from(ws: Workspace, closed_ms: int | None) -> int | None:
    """Return the oldest hour that is worth asking the sources for again, epoch milliseconds UTC.

    Notes
    -----
    That is the oldest one of the last `RECHECK_HOURS` which a live source could not answer for (status missing). With
    the last hour of a day it is the oldest of all of them: exchanges restate candles. None where there is nothing.
    """
    if closed_ms is None:
        return None
    recent = Window(closed_ms - RECHECK_HOURS * HOUR_MS, closed_ms)
    if closed_ms % DAY_MS == 0:
        return recent.start_ms
    spans = [(spec.market, recent.start_ms, recent.end_ms) for spec in ws.universe.specs if spec.source in LIVE_SOURCES]
    rows = ws.warehouse.read_spans("candle_hours", spans, ["hour_start", "status"])
    missing = [hours["hour_start"][hours["status"] == MISSING] for hours in rows]
    return min((int(hours[0]) for hours in missing if len(hours)), default=None)


def next_window(
    universe: Universe,
    closed_ms: int | None,
    cursor_ms: int | None,
    cap_hours: int,
    recheck_from_ms: int | None = None,
) -> Window | None:
    """Return the hours to run next: from the cursor to the newest closed hour, at most `cap_hours`, oldest first.

    Parameters
    ----------
    universe : Universe
        Span of the partitions.
    closed_ms : int or None
        End of the newest closed hour, epoch milliseconds UTC.
    cursor_ms : int or None
        End of the last hour asked for; None the first time, which takes the newest hour alone: history is a backfill.
    cap_hours : int
        Most hours of one run.
    recheck_from_ms : int, optional
        Start earlier, here, if anything runs at all.

    Returns
    -------
    Window or None
        None while there is nothing to do.
    """
    if closed_ms is None:
        return None
    end = closed_ms if universe.end_ms is None else min(closed_ms, universe.end_ms)
    start = max(universe.start_ms, end - HOUR_MS if cursor_ms is None else cursor_ms)
    if start >= end:
        return None
    if recheck_from_ms is not None and cursor_ms is not None:
        start = max(universe.start_ms, min(start, recheck_from_ms))
    return Window(start, min(end, start + cap_hours * HOUR_MS))


def is_stored(ws: Workspace, window: Window) -> bool:
    """Say whether the chain has gone through every hour of a window for every market."""
    asset = STAGES[-1].table
    return all(ws.warehouse.ledger(asset, market, window).is_recorded.all() for market in ws.universe.markets)


@dataclass(frozen=True, slots=True)
class Correction:
    """Stages of one market to run again over one window, in the order of the chain."""

    market: Market
    window: Window
    stages: tuple[str, ...]


def corrections(ws: Workspace) -> tuple[Correction, ...]:
    """Return what the dirty marks ask for: per market the windows that hold its marks, and the stages marked.

    Notes
    -----
    A window has candles in every hour: one run over hours that were never fetched could only fail, so the marks are cut
    there. Hours of a window that a stage's marks do not hold are computed too, and not written, since nothing in them
    changes. Marks of markets that are no longer listed, and of hours without a partition, are left alone.
    """
    marks: dict[Market, list[StaleRange]] = {}
    for mark in ws.warehouse.dirty():
        marks.setdefault(mark.market, []).append(mark)
    return tuple(
        found for market in ws.universe.markets if market in marks for found in _of_market(ws, market, marks[market])
    )


def _of_market(ws: Workspace, market: Market, marks: list[StaleRange]) -> Iterator[Correction]:
    edges = ws.universe.within(
        Window(min(mark.window.start_ms for mark in marks), max(mark.window.end_ms for mark in marks))
    )
    if edges is None:
        return
    recorded = ws.warehouse.ledger(STAGES[0].table, market, edges)
    for part in recorded_spans(recorded, edges):
        inside = [mark for mark in marks if mark.window.start_ms < part.end_ms and mark.window.end_ms > part.start_ms]
        if inside:
            start = max(part.start_ms, min(mark.window.start_ms for mark in inside))
            end = min(part.end_ms, max(mark.window.end_ms for mark in inside))
            yield Correction(market, Window(start, end), _stages({mark.asset for mark in inside}))


def holes(ws: Workspace) -> dict[Market, int]:
    """Return how many hours each market lacks on the dashboard, of those between the oldest and the newest stored one.

    Notes
    -----
    Oldest and newest are those of all markets, so that a market whose backfill was lost is found although nothing of it
    failed; hours before them were never asked for. Nothing is missing where no market has an hour; markets without a
    hole are left out. A market that an exchange lists later has rows for the hours before, which say so. Hours outside
    of the partitions are left out: nothing can materialize them.
    """
    asset = STAGES[-1].table
    newest = [ws.warehouse.last_partition(asset, market) for market in ws.universe.markets]
    stored = [hour for hour in newest if hour is not None]
    if not stored:
        return {}
    oldest = [ws.warehouse.oldest(market, asset) for market in ws.universe.markets]
    window = ws.universe.within(Window(min(hour for hour in oldest if hour is not None), max(stored) + HOUR_MS))
    if window is None:
        return {}
    found = {spec.market: _span(window, spec.until_ms) for spec in ws.universe.specs}
    missing = {
        market: len(span) - int(ws.warehouse.ledger(asset, market, span).is_recorded.sum())
        for market, span in found.items()
        if span is not None
    }
    return {market: hours for market, hours in missing.items() if hours}


def _span(window: Window, until_ms: int | None) -> Window | None:
    """The window up to where a market ends; None where it ended before."""
    end = window.end_ms if until_ms is None else min(window.end_ms, until_ms)
    return Window(window.start_ms, end) if end > window.start_ms else None


def _stages(marked: set[str]) -> tuple[str, ...]:
    """The marked stages; a mark names the table or, for files, the stage."""
    return tuple(stage.name for stage in STAGES if (stage.table or stage.name) in marked)
