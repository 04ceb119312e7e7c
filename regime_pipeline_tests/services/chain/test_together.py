"""Many markets run together: the same rows as one after another, a market's fault its own, and few statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.errors import BadSnapshotError, MissingDataError, RegimeError, SourceError, StorageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain import reading
from regime_pipeline.services.chain.checks import CHECKS
from regime_pipeline.services.chain.open_faults import Judgement, judge
from regime_pipeline.services.chain.stages import STAGES, MarketWindow, Stage, StageReport
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import MarketSpec, Universe
from regime_pipeline.sources.base import CandleSource, Fetched
from regime_pipeline.sources.derived import EndedSource
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.factories import (
    NOW,
    START,
    assert_same_bytes,
    dump,
    hours_from_start,
    run_stages,
    simulated_workspace,
)
from regime_pipeline_tests.services.chain.test_open_faults import Kept

MARKETS = (
    Market("ALFA-USDT", "1h"),
    Market("ALFA-USDT", "15m"),
    Market("BRAVO-USDT", "1h"),
    Market("BRAVO-USDT", "4h"),
    Market("ENDED-USDT", "1h"),
)
ENDS = START + 20 * HOUR_MS
SPAN = hours_from_start(0, 48)


class Patchy(SimulatedSource):
    """The simulated exchange, which cannot be asked for some symbols."""

    deaf: tuple[str, ...] = ()

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        if market.symbol in self.deaf:
            raise SourceError(f"{market} cannot be reached.")
        return super().fetch(market, start_ms, end_ms)


@contextmanager
def workspace_of(url: str, folder: Path) -> Iterator[tuple[Workspace, Patchy]]:
    source = Patchy(7, lambda: NOW, 100)

    def source_of(market: Market) -> CandleSource:
        return EndedSource(source, ENDS, Candles.empty(market, 100)) if market.symbol == "ENDED-USDT" else source

    with simulated_workspace(url, folder, MARKETS, source=source) as opened:
        specs = tuple(
            replace(spec, until_ms=ENDS if spec.market.symbol == "ENDED-USDT" else None)
            for spec in opened.universe.specs
        )
        universe = Universe(specs, START, NOW)
        yield replace(opened, universe=universe, source_of=source_of), source


def outcome(report: StageReport | Exception) -> Any:
    """What a stage said of one market, without arrays that the tables hold too."""
    if isinstance(report, Exception):
        return type(report), str(report)
    shown = {name: repr(values.tolist()) for name, values in report.per_hour.items()}  # NaN equals itself in words
    return report.written, report.unchanged, report.failure, shown


def run_alone(ws: Workspace, stage: Stage, run_id: int, slices: Sequence[MarketWindow]) -> list[Any]:
    found: list[StageReport | Exception] = []
    for market, window in slices:
        try:
            found.append(stage.run(ws, run_id, market, window))
        except RegimeError as error:
            found.append(error)
    return [outcome(each) for each in found]


def state_of(ws: Workspace) -> dict[str, Any]:
    """What is on record beside the rows: ledgers without the run's number, periods, marks and revisions."""
    known = ws.warehouse.markets()
    ledgers = {
        (stage.table, str(market)): [
            getattr(ws.warehouse.ledger(stage.table, market, SPAN), name).tolist() for name in ("hashes", "counts")
        ]
        for stage in STAGES
        for market in known
    }
    with psycopg.connect(ws.warehouse.url) as connection:
        periods = connection.execute(
            "SELECT symbol, timeframe, t0, t1, n, regime, is_open, conf_avg, conf_min, conf_max "
            "FROM regime_period JOIN series USING (series_id) ORDER BY 1, 2, 3"
        ).fetchall()
    dirty = sorted((mark.asset, str(mark.market), mark.window) for mark in ws.warehouse.dirty())
    return {"ledgers": ledgers, "periods": periods, "dirty": dirty}


HOURS = st.integers(0, 45)
WINDOWS = st.lists(st.tuples(HOURS, st.integers(1, 3)), min_size=1, max_size=2, unique_by=lambda pair: pair[0] // 4)
RECTANGLES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(MARKETS), min_size=2, max_size=3, unique=True),
        WINDOWS,
        st.sampled_from([(), ("ALFA-USDT",), ("BRAVO-USDT", "ENDED-USDT")]),
        st.sets(st.sampled_from([stage.name for stage in STAGES]), max_size=2),
    ),
    min_size=1,
    max_size=2,
)


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rectangles=RECTANGLES)
def test_markets_together_leave_what_they_leave_one_after_another(
    database_url: str, each_postgres_url: str, tmp_path: Path, rectangles: list[Any]
) -> None:
    """Rectangles with gaps, stages left out before others, sources that fail, a market that has ended."""
    with (
        workspace_of(database_url, tmp_path / "alone") as (alone, alone_source),
        workspace_of(each_postgres_url, tmp_path / "together") as (together, together_source),
    ):
        for markets, hours, deaf, left_out in rectangles:
            alone_source.deaf = together_source.deaf = deaf
            windows = [hours_from_start(first, first + length) for first, length in sorted(hours)]
            slices = [(market, window) for market in markets for window in windows]
            for stage in STAGES:
                if stage.name in left_out:
                    continue
                runs = [ws.start_run(stage.config_hash(ws.policy, ws.nulls)) for ws in (alone, together)]
                one_by_one = run_alone(alone, stage, runs[0], slices)
                at_once = [outcome(each) for each in stage.run_together(together, runs[1], slices)]
                assert at_once == one_by_one, stage.name
        for market in MARKETS:
            assert_same_bytes(dump(together, market, SPAN), dump(alone, market, SPAN))
        assert state_of(together) == state_of(alone)
        kept = [files_of(tmp_path / name) for name in ("alone", "together")]
        assert kept[0] == kept[1]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.json"))}


def judged_of(ws: Workspace, slices: Sequence[MarketWindow], asset: str) -> list[Judgement]:
    checks = [check for check in CHECKS if check.asset == asset]
    return [judgement for _, judgement in judge(checks, ws, slices, Kept())]


@pytest.fixture
def stored(database_url: str, tmp_path: Path) -> Iterator[tuple[Workspace, Patchy]]:
    """A day of the markets, and their sources."""
    with workspace_of(database_url, tmp_path) as opened:
        for market in MARKETS:
            run_stages(opened[0], market, [hours_from_start(0, 24)])
        yield opened


NEXT = hours_from_start(24, 25)
ROOT_MARKETS = (MARKETS[0], MARKETS[2], MARKETS[3])


def hours_stored(ws: Workspace) -> list[int]:
    return [len(ws.warehouse.read_range("candle_hours", market, NEXT)["status"]) for market in ROOT_MARKETS]


def test_a_fault_of_one_market_leaves_the_others_written(stored: tuple[Workspace, Patchy], tmp_path: Path) -> None:
    ws, source = stored
    source.deaf = ("BRAVO-USDT",)
    raw = STAGES[0].run_together(ws, ws.start_run(""), [(market, NEXT) for market in ROOT_MARKETS])
    assert [each.failure for each in raw if isinstance(each, StageReport)] == [
        "", "BRAVO-USDT_1h cannot be reached.", "BRAVO-USDT_4h cannot be reached."
    ]  # fmt: skip
    STAGES[1].run_together(ws, ws.start_run(""), [(market, NEXT) for market in ROOT_MARKETS])

    (damaged,) = tmp_path.rglob("2026/09/02/00/BRAVO-USDT_1h.json")
    damaged.write_bytes(b"{")
    stage = next(stage for stage in STAGES if stage.name == "features")
    found = stage.run_together(ws, ws.start_run(""), [(market, NEXT) for market in ROOT_MARKETS])

    assert [type(each) for each in found] == [StageReport, BadSnapshotError, StageReport]
    assert [len(ws.warehouse.read_range("features", market, NEXT)["close"]) for market in ROOT_MARKETS] == [1, 0, 1]
    with pytest.raises(BadSnapshotError):
        stage.run(ws, ws.start_run(""), MARKETS[2], NEXT)


def test_rows_that_the_database_would_refuse_keep_no_other_market_from_being_stored(
    stored: tuple[Workspace, Patchy],
) -> None:
    ws, _ = stored
    raw = STAGES[0]
    unknown = replace(ws, universe=replace(ws.universe, specs=tuple(
        replace(spec, price_scale=1_000 if spec.market == MARKETS[2] else 100) for spec in ws.universe.specs
    )))  # fmt: skip

    found = raw.run_together(unknown, ws.start_run(""), [(market, NEXT) for market in ROOT_MARKETS])

    assert [type(each) for each in found] == [StageReport, StorageError, StageReport]
    assert "is stored with price scale 100" in str(found[1])
    assert [len(ws.warehouse.read_range("candle_hours", market, NEXT)["status"]) for market in ROOT_MARKETS] == [
        1,
        0,
        1,
    ]


def test_what_is_refused_together_is_stored_one_by_one(
    stored: tuple[Workspace, Patchy], monkeypatch: pytest.MonkeyPatch
) -> None:
    ws, _ = stored
    real = ws.warehouse.replace_candles_of

    def refusing(contents: Sequence[Any], run_id: int) -> Any:
        if any(given.market == MARKETS[2] for given in contents):
            raise StorageError("Another writer held the same table and market for too long.")
        return real(contents, run_id)

    monkeypatch.setattr(ws.warehouse, "replace_candles_of", refusing)
    found = STAGES[0].run_together(ws, ws.start_run(""), [(market, NEXT) for market in ROOT_MARKETS])

    assert [type(each) for each in found] == [StageReport, StorageError, StageReport]
    assert [len(ws.warehouse.read_range("candle_hours", market, NEXT)["status"]) for market in ROOT_MARKETS] == [
        1,
        0,
        1,
    ]


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """Count what is sent to the server meanwhile, by its first word."""
    found: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("execute", "executemany", "copy"):
            call = getattr(psycopg.Cursor, name)

            def counted(cursor: Any, query: Any, *args: Any, call: Any = call, **options: Any) -> Any:
                found["all"] += 1
                return call(cursor, query, *args, **options)

            patch.setattr(psycopg.Cursor, name, counted)
        yield found


MANY = tuple(starmap(Market, [(f"M{number}-USDT", "1h") for number in range(24)]))


def test_statements_do_not_grow_with_the_markets(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, MANY) as ws:
        sent: dict[str, list[int]] = {}
        for hour, count in enumerate((2, 24, 24)):  # twice, so that the markets are known the second time
            slices = [(market, hours_from_start(0, hour + 1)) for market in MANY[:count]]
            for stage in STAGES:
                run_id = ws.start_run(stage.config_hash(ws.policy, ws.nulls))
                with statements() as of_stage:
                    found = stage.run_together(ws, run_id, slices)
                with statements() as of_checks:
                    judged_of(ws, slices, stage.name)
                assert not [each for each in found if isinstance(each, Exception)]
                sent.setdefault(stage.name, []).append(of_stage["all"])
                sent.setdefault(f"checks of {stage.name}", []).append(of_checks["all"])

    for name, (two, _, many) in sent.items():
        assert many <= two + 2, (name, sent)
    assert all(many <= 8 for name, (_, _, many) in sent.items() if name.startswith("checks")), sent
    assert max(many for _, _, many in sent.values()) <= 24, sent


def test_groups_are_bounded_and_hold_a_market_once(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[MarketWindow] = [
        (market, hours_from_start(first, first + 2)) for market in MANY for first in (0, 4, 8)
    ]
    monkeypatch.setattr(reading, "MOST_ROWS", 5 * (reading._LOOKBACK_ROWS + 2))

    found = list(reading.groups(places, lambda place: place))

    assert {place for group in found for place in group} == set(places)
    assert sum(map(len, found)) == len(places)
    assert all(len({market for market, _ in group}) == len(group) <= 5 for group in found)
    in_turn: dict[Market, list[Window]] = {}
    for market, window in (place for group in found for place in group):
        in_turn.setdefault(market, []).append(window)
    assert all(windows == sorted(windows) for windows in in_turn.values())
    assert len(found) <= 3 * 24 // 5 + 3
    assert [len(group) for group in reading.bounded(places, lambda place: place)] == [5] * 14 + [2]


def test_small_groups_give_the_same_rows(
    database_url: str, each_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = hours_from_start(0, 30)
    with (
        workspace_of(database_url, tmp_path / "a") as (whole, _),
        workspace_of(each_postgres_url, tmp_path / "b") as (cut, _),
    ):
        for ws, most in ((whole, reading.MOST_ROWS), (cut, 2_500)):
            monkeypatch.setattr(reading, "MOST_ROWS", most)
            for stage in STAGES:
                run_id = ws.start_run(stage.config_hash(ws.policy, ws.nulls))
                found = stage.run_together(ws, run_id, [(market, window) for market in MARKETS])
                assert all(isinstance(each, StageReport) for each in found)
        for market in MARKETS:
            assert_same_bytes(dump(cut, market, window), dump(whole, market, window))


def test_checks_of_many_markets_say_what_they_say_of_each(stored: tuple[Workspace, Patchy]) -> None:
    ws, _ = stored
    window = hours_from_start(0, 26)  # two hours that nothing is stored of
    slices = [(market, window) for market in MARKETS]
    for stage in STAGES[:1] + STAGES[2:]:
        together = judged_of(ws, slices, stage.name)
        alone = [judged_of(ws, [place], stage.name) for place in slices]
        for number, judgement in enumerate(together):
            assert judgement.here == tuple(text for each in alone for text in each[number].here)
            assert judgement.checked == sum(each[number].checked for each in alone)
    assert any(judgement.here for judgement in judged_of(ws, slices, "raw_candles"))


def test_venues_are_asked_at_the_same_time_and_each_for_one_market_after_another(
    stored: tuple[Workspace, Patchy],
) -> None:
    venues = {"binance": ("A-USDT", "B-USDT"), "kraken": ("C-USDT", "D-USDT")}
    specs = tuple(
        MarketSpec(Market(symbol, "1h"), "exchange", 100, venue)
        for symbols in zip(*venues.values(), strict=True)
        for venue, symbol in zip(venues, symbols, strict=True)
    )
    ws = replace(stored[0], universe=Universe(specs, START, NOW))
    both = Barrier(2, timeout=60)
    asking: set[str] = set()

    def ask(market: Market) -> str:
        venue = ws.universe.spec(market).exchange
        assert venue not in asking
        asking.add(venue)
        both.wait()  # for the other venue, which only a thread of its own can bring
        asking.remove(venue)
        both.wait()
        return market.symbol

    markets = ws.universe.markets
    assert reading.ask_by_venue(ws, markets, lambda market: market, ask) == [market.symbol for market in markets]


def test_one_market_without_its_upstream_rows_fails_alone(stored: tuple[Workspace, Patchy]) -> None:
    ws, _ = stored
    stage = next(stage for stage in STAGES if stage.name == "scores")
    slices = [(MARKETS[0], hours_from_start(20, 24)), (MARKETS[2], hours_from_start(24, 26))]

    found = stage.run_together(ws, ws.start_run(stage.config_hash(ws.policy, ws.nulls)), slices)

    assert [type(each) for each in found] == [StageReport, MissingDataError]
