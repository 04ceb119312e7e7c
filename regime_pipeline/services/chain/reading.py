"""What stages and checks read, asked market by market and answered for all of them together.

A reading is a generator for one market: `rows = yield from stored_rows(...)`. `read_together` resumes many side by side
and answers what they ask for at a time by one statement a table, so that statements do not grow with the markets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from numpy.typing import NDArray

from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.grids.versions import History
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64, Window, bars_closing_in
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.sources.base import Fetched
from regime_pipeline.storage.bulk.columns import bulk_table
from regime_pipeline.storage.bulk_reads import candles_of

Columns = dict[str, NDArray[Any]]
_Result = TypeVar("_Result")
_Item = TypeVar("_Item")
MOST_ROWS: Final = 262_144
"""Rows, lookback included, of the markets that are read, computed and written together; bounds the memory in use."""
MOST_MARKETS: Final = 256
"""Markets that are written together: each takes a lock or two of the server's shared table."""
_LOOKBACK_ROWS: Final = 1_000
"""About what a stage reads of a market before its window."""
_VENUES_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Question:
    """What one market asks of a store; those with the same `answer` are answered together.

    Parameters
    ----------
    answer : callable
        `(workspace, keys) -> answers`, one a key in their order. An answer that is an exception is raised where the
        question was asked.
    key : hashable
        What is asked for; equal keys are asked once.
    """

    answer: Callable[[Workspace, Sequence[Any]], Sequence[Any]]
    key: Hashable


Reading = Generator[Question, Any, _Result]
"""The work of one market, which yields what it must read and returns its result."""


def read_together(ws: Workspace, readings: Sequence[Reading[_Result]]) -> list[_Result | Exception]:
    """Run readings side by side, and answer all that they ask for at a time together.

    Returns
    -------
    list
        The result of each; of one that failed, the exception: it does not hold up the others.

    Raises
    ------
    StorageError
        The database refused, which is nobody's own fault.
    """
    ended: dict[int, _Result | Exception] = {}
    answers: dict[int, Any] = dict.fromkeys(range(len(readings)))
    while answers:
        asked: dict[int, Question] = {}
        for place, answer in answers.items():
            try:
                asked[place] = _resumed(readings[place], answer)
            except StopIteration as done:
                ended[place] = done.value
            except Exception as error:  # of this market alone
                ended[place] = error
        answers = _answers(ws, asked)
    return [ended[place] for place in range(len(readings))]


def read_alone(ws: Workspace, reading: Reading[_Result]) -> _Result:
    """Run one reading; raises what it raises."""
    (result,) = read_together(ws, [reading])
    if isinstance(result, Exception):
        raise result
    return result


def _resumed(reading: Reading[Any], answer: Any) -> Question:
    return reading.throw(answer) if isinstance(answer, Exception) else reading.send(answer)


def _answers(ws: Workspace, asked: dict[int, Question]) -> dict[int, Any]:
    """Answer each kind of question once for all its keys."""
    keys: dict[Any, dict[Hashable, Any]] = defaultdict(dict)
    for question in asked.values():
        keys[question.answer][question.key] = None
    for answer, of in keys.items():
        of.update(zip(list(of), answer(ws, list(of)), strict=True))
    return {place: keys[question.answer][question.key] for place, question in asked.items()}


def bounded(places: Iterable[_Item], place_of: Callable[[_Item], tuple[Market, Window]]) -> Iterator[list[_Item]]:
    """Cut reads into groups of at most about `MOST_ROWS` rows of different windows, in order."""
    group: list[_Item] = []
    known: set[tuple[Market, Window]] = set()
    rows = 0
    for place in places:
        window = place_of(place)
        more = 0 if window in known else _row_count(*window)
        if group and rows + more > MOST_ROWS:
            yield group
            group, known, rows, more = [], set(), 0, _row_count(*window)
        group.append(place)
        known.add(window)
        rows += more
    if group:
        yield group


def _row_count(market: Market, window: Window) -> int:
    """About how many rows a window is, with what is read before it."""
    return len(window) * max(1, HOUR_MS // market.step_ms) + _LOOKBACK_ROWS


def groups(places: Iterable[_Item], place_of: Callable[[_Item], tuple[Market, Window]]) -> Iterator[list[_Item]]:
    """Cut work into groups of at most about `MOST_ROWS` rows, a market once in each and its windows in their order."""
    open_groups: list[list[_Item]] = []
    rows: list[int] = []
    following: dict[Market, int] = defaultdict(int)
    """The first group that may take the market's next window."""
    for place in places:
        market, window = place_of(place)
        more = _row_count(market, window)
        at = following[market]
        while at < len(rows) and (rows[at] + more > MOST_ROWS or len(open_groups[at]) >= MOST_MARKETS):
            at += 1
        if at == len(rows):
            open_groups.append([])
            rows.append(0)
        open_groups[at].append(place)
        rows[at] += more
        following[market] = at + 1
    yield from open_groups


def registered(market: Market, venue: str, price_scale: int) -> Reading[None]:
    """Have the market be known to the database; raises what `Warehouse.series_id` does."""
    yield Question(_register, (market, venue, price_scale))


def _register(ws: Workspace, keys: Sequence[tuple[Market, str, int]]) -> list[RegimeError | None]:
    ws.warehouse.look_up(market for market, _, _ in keys)
    return [unless_failed(partial(_register_one, ws, *key)) for key in keys]


def _register_one(ws: Workspace, market: Market, venue: str, price_scale: int) -> None:
    ws.warehouse.series_id(market, venue=venue, price_scale=price_scale)


def candle_span(market: Market, window: Window) -> tuple[int, int]:
    """Half-open span of the open times of the bars that close in the window."""
    bars = bars_closing_in(market, window)
    if not len(bars):
        return window.start_ms, window.start_ms
    return int(bars[0]), int(bars[-1]) + market.step_ms


@dataclass(frozen=True, slots=True)
class _Span:
    """Rows of a market in a table, by their key."""

    table: str
    market: Market
    start_ms: int
    end_ms: int


def stored_rows(table: str, market: Market, window: Window, columns: Sequence[str] | None = None) -> Reading[Columns]:
    """Read what `Warehouse.read_range` returns."""
    source = bulk_table(table)
    return (yield from _rows(table, market, *source.key_bounds(market, window), tuple(columns or source.names)))


def stored_candles(ws: Workspace, market: Market, start_ms: int, end_ms: int) -> Reading[Candles]:
    """Read what `Warehouse.read_candles` returns."""
    rows = yield from _rows("candles", market, start_ms, end_ms, bulk_table("candles").names)
    return candles_of(market, ws.warehouse.price_scale(market), rows)


def _rows(table: str, market: Market, start_ms: int, end_ms: int, names: tuple[str, ...]) -> Reading[Columns]:
    found: Columns = yield Question(_table_rows, (_Span(table, market, start_ms, end_ms), names))
    return found


def _table_rows(ws: Workspace, keys: Sequence[tuple[_Span, tuple[str, ...]]]) -> list[Columns]:
    """Read each span once with all columns that are wanted of it, by one statement a table and set of columns."""
    wanted: dict[_Span, dict[str, None]] = defaultdict(dict)
    for span, names in keys:
        wanted[span] |= dict.fromkeys(names)
    alike: dict[tuple[str, tuple[str, ...]], list[_Span]] = defaultdict(list)
    for span, columns in wanted.items():
        alike[span.table, tuple(columns)].append(span)
    found: dict[_Span, Columns] = {}
    for (table, columns_read), spans in alike.items():
        rows = ws.warehouse.read_spans(table, [(s.market, s.start_ms, s.end_ms) for s in spans], columns_read)
        found.update(zip(spans, rows, strict=True))
    return [{name: found[span][name] for name in names} for span, names in keys]


def snapshot_candles(market: Market, start_ms: int, end_ms: int) -> Reading[Candles]:
    """Read what `SnapshotStore.read_candles` returns."""
    found: Candles = yield Question(_file_candles, (market, start_ms, end_ms))
    return found


def _file_candles(ws: Workspace, keys: Sequence[tuple[Market, int, int]]) -> list[Candles | RegimeError]:
    return [unless_failed(partial(ws.snapshots.read_candles, *key)) for key in keys]


def snapshot_hours(market: Market, window: Window) -> Reading[Int64]:
    """Read what `SnapshotStore.hours_present` returns."""
    found: Int64 = yield Question(_file_hours, (market, window))
    return found


def _file_hours(ws: Workspace, keys: Sequence[tuple[Market, Window]]) -> list[Int64 | RegimeError]:
    read = ws.snapshots.hours_present
    return [unless_failed(partial(read, market, window.start_ms, window.end_ms)) for market, window in keys]


def snapshot_statuses(market: Market, window: Window) -> Reading[NDArray[Any]]:
    """Read what `SnapshotStore.read_statuses` returns."""
    found: NDArray[Any] = yield Question(_file_statuses, (market, window))
    return found


def _file_statuses(ws: Workspace, keys: Sequence[tuple[Market, Window]]) -> list[NDArray[Any] | RegimeError]:
    return [unless_failed(partial(ws.snapshots.read_statuses, *key)) for key in keys]


def unless_failed(read: Callable[[], _Result]) -> _Result | RegimeError:
    """Return what a call returns, or the error that it raised."""
    try:
        return read()
    except RegimeError as error:
        return error


def fetched(market: Market, start_ms: int, end_ms: int) -> Reading[Fetched]:
    """Ask the market's source; raises what `CandleSource.fetch` does."""
    found: Fetched = yield Question(_source_candles, (market, start_ms, end_ms))
    return found


def _source_candles(ws: Workspace, keys: Sequence[tuple[Market, int, int]]) -> list[Fetched | RegimeError]:
    """Ask the sources: venues over the network at the same time, each for one market after another."""

    def ask(key: tuple[Market, int, int]) -> Fetched | RegimeError:
        return unless_failed(lambda: ws.source_of(key[0]).fetch(*key))

    return ask_by_venue(ws, keys, lambda key: key[0], ask)


def ask_by_venue(
    ws: Workspace, items: Sequence[_Item], market_of: Callable[[_Item], Market], ask: Callable[[_Item], _Result]
) -> list[_Result]:
    """Return what `ask` returns for each item; venues over the network are asked at the same time.

    Notes
    -----
    One thread a venue: an exchange's client keeps to its rate by counting its own requests, one after another.
    """
    queues: dict[str, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        queues[ws.universe.origin(market_of(item)).exchange].append(number)  # empty: nothing goes over the network

    def ask_in_turn(numbers: list[int]) -> list[tuple[int, _Result]]:
        return [(number, ask(items[number])) for number in numbers]

    if len(queues) == 1:
        return [answer for numbers in queues.values() for _, answer in ask_in_turn(numbers)]
    with ThreadPoolExecutor(min(len(queues), _VENUES_AT_ONCE)) as threads:
        answers = dict(pair for pairs in threads.map(ask_in_turn, queues.values()) for pair in pairs)
    return [answers[number] for number in range(len(items))]


def grid_history(symbol: str) -> Reading[History]:
    """Read the versions of a symbol's grid, oldest first."""
    found: History = yield Question(_histories, symbol)
    return found


def _histories(ws: Workspace, symbols: Sequence[str]) -> list[History]:
    found = ws.warehouse.grids.histories(symbols)
    return [found.get(symbol, ()) for symbol in symbols]


def grid_stops(symbol: str) -> Reading[Sequence[StopEvent]]:
    """Read the stops of a symbol's grid, oldest first."""
    found: Sequence[StopEvent] = yield Question(_stops, symbol)
    return found


def _stops(ws: Workspace, symbols: Sequence[str]) -> list[Sequence[StopEvent]]:
    found = ws.warehouse.grids.all_stops(symbols)
    return [found.get(symbol, []) for symbol in symbols]


def newest_candle(market: Market) -> Reading[int | None]:
    """Read the open time of a market's newest candle, epoch milliseconds; None while there is none."""
    found: int | None = yield Question(_newest, market)
    return found


def _newest(ws: Workspace, markets: Sequence[Market]) -> list[int | None]:
    return ws.warehouse.latest_of(markets)


def revised_bars(market: Market, start_ms: int, end_ms: int) -> Reading[Int64]:
    """Read what `Warehouse.revised_bars` returns."""
    found: Int64 = yield Question(_revised, (market, start_ms, end_ms))
    return found


def _revised(ws: Workspace, spans: Sequence[tuple[Market, int, int]]) -> list[Int64]:
    return ws.warehouse.revised_bars_of(spans)


def stored_timeframes(symbol: str) -> Reading[Sequence[Market]]:
    """Read every stored market of a symbol."""
    found: Sequence[Market] = yield Question(_timeframes, symbol)
    return found


def _timeframes(ws: Workspace, symbols: Sequence[str]) -> list[Sequence[Market]]:
    by_symbol: dict[str, list[Market]] = defaultdict(list)
    for market in ws.warehouse.markets():
        by_symbol[market.symbol].append(market)
    return [by_symbol[symbol] for symbol in symbols]
