"""Incidents of a real exchange, through the chain: the outage of February 2018, candles restated in 2021."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.completeness import clip_spans
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.domain.schema import HOUR_STATUSES, STATUSES, VERDICTS
from regime_pipeline.services.chain.scheduling import corrections
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.imports.plan import read_files
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline_tests.factories import assert_same_bytes, dump, run_stages, simulated_workspace

MINUTES, HOURS = Market("BTC-USDT", "1m"), Market("ETH-USDT", "1h")
COMPUTED = {"candle_regimes", "features", "scores", "regime_verdicts"}
LATER = to_ms("2026-01-01T00:00:00Z")


class Recorded:
    """An exchange that answers with recorded candles and confirms the whole of their span."""

    venue = "recorded"

    def __init__(self, candles: Candles) -> None:
        self.candles = candles
        self.span = (int(candles.open_time_ms[0]), int(candles.close_time_ms[-1]))

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        return Fetched(self.candles.between(start_ms, end_ms), clip_spans((self.span,), start_ms, end_ms))

    def newest_closed_ms(self, market: Market) -> int:
        return self.span[1]


def only(ws: Workspace, source: Recorded) -> Workspace:
    specs = tuple(
        replace(spec, source="exchange", price_scale=source.candles.price_scale) for spec in ws.universe.specs
    )
    universe = replace(ws.universe, specs=specs, start_ms=source.span[0], end_ms=source.span[1])
    return replace(ws, universe=universe, source_of=lambda _: source, clock=lambda: LATER)


def test_the_outage_of_february_2018_is_a_gap_that_no_window_spans(
    shared_data: Path, database_url: str, tmp_path: Path
) -> None:
    """2,011 minutes from 2018-02-08 00:29 are absent, and the exchange says that they do not exist."""
    folder = shared_data / "binance-vision/data/spot/daily/klines/BTCUSDT/1m"
    files = sorted(folder.glob("BTCUSDT-1m-2018-02-0[789].zip")) + sorted(folder.glob("BTCUSDT-1m-2018-02-10.zip"))
    source = Recorded(read_files(files, MINUTES, ReadOptions(), LATER).candles)
    window = Window(to_ms("2018-02-07T18:00:00Z"), to_ms("2018-02-09T18:00:00Z"))

    with simulated_workspace(database_url, tmp_path, [MINUTES]) as opened:
        ws = only(opened, source)
        run_stages(ws, MINUTES, [window])
        hours = ws.warehouse.read_range("candle_hours", MINUTES, window)
        features = ws.warehouse.read_range("features", MINUTES, window, ["hour_start", "status"])
        verdicts = ws.warehouse.read_range("regime_verdicts", MINUTES, window, ["verdict"])["verdict"]

    names = [HOUR_STATUSES[code] for code in hours["status"]]
    assert names == ["complete"] * 6 + ["exchange_gap"] * 34 + ["complete"] * 8
    assert hours["present"][5:8].tolist() == [60, 29, 0]
    assert int(hours["present"].sum()) == len(source.candles.between(window.start_ms, window.end_ms))
    first_whole = to_ms("2018-02-09T10:00:00Z") + 3 * HOUR_MS  # 168 minutes after the restart at 10:00
    late = features["hour_start"] > to_ms("2018-02-08T00:00:00Z")
    is_ok = features["status"] == STATUSES.index("OK")
    assert not is_ok[late & (features["hour_start"] < first_whole - HOUR_MS)].any()
    assert is_ok[features["hour_start"] >= first_whole].all()
    assert set(verdicts[6:].tolist()) == {VERDICTS.index("INSUFFICIENT_DATA")}


RESTATED = (
    pytest.param("ETHUSDT", "2021-04-23T01:00:00Z", id="April: no verdict changes its class"),
    pytest.param("wanglz111_ETHUSDT", "2021-01-11T08:00:00Z", id="January: another low, other verdicts"),
)


@pytest.mark.parametrize(("capture", "hour"), RESTATED)
def test_restated_candles_are_revisions_and_mend_exactly_their_reach(
    shared_data: Path,
    database_url: str,
    tmp_path: Path,
    make_database: Callable[[], str],
    capture: str,
    hour: str,
) -> None:
    """Captures of July 2021 and of 2023 differ in one hour of these weeks."""
    first = shared_data / "freqtrade-format/binance-2017-2021__ETH_USDT-1h.json.gz"
    second = shared_data / f"hourly-cut/{capture}_1h_shared-epochs.csv.gz"
    restated = to_ms(hour)
    span = restated - 17 * DAY_MS, restated + 32 * DAY_MS
    window = Window(restated - 9 * DAY_MS, span[1])
    old = read_files([first], HOURS, ReadOptions(is_dropping_unaligned=True), LATER).candles.between(*span)
    new = read_files([second], HOURS, ReadOptions(timezone="UTC"), LATER).candles.between(*span)
    scale = int(np.lcm(old.price_scale, new.price_scale))
    old, bar = rescaled(old, scale), rescaled(new.between(restated, restated + 1), scale)
    rest = [old.between(span[0], restated), old.between(restated + 1, span[1])]
    as_first, as_now = Recorded(old), Recorded(concatenate([*rest, bar]))  # the later capture rounds volumes

    with simulated_workspace(database_url, tmp_path / "live", [HOURS]) as opened:
        run_stages(only(opened, as_first), HOURS, [Window(span[0], window.end_ms)])
        assert corrections(only(opened, as_first)) == ()
        ws = only(opened, as_now)
        STAGES[0].run(ws, ws.start_run(""), HOURS, Window(restated, restated + 72 * HOUR_MS))

        assert ws.warehouse.revised_bars(HOURS, *span).tolist() == [restated]
        (correction,) = corrections(ws)
        assert correction.window.start_ms == restated
        assert correction.stages == tuple(stage.name for stage in STAGES[1:])
        untouched = dump(ws, HOURS, Window(window.start_ms, restated))
        written = set()
        for stage in STAGES[1:]:
            run_id = ws.start_run(stage.config_hash(ws.policy, ws.nulls))
            if stage.run(ws, run_id, HOURS, correction.window).written:
                written.add(stage.name)
        assert written == {"hourly_snapshots", "dashboard_hours"} | COMPUTED
        assert corrections(ws) == ()
        assert_same_bytes(dump(ws, HOURS, Window(window.start_ms, restated)), untouched)
        known_then = ws.snapshots.read_candles(HOURS, restated, restated + HOUR_MS)
        assert known_then.close.tolist() == as_now.candles.between(restated, restated + 1).close.tolist()
        mended = dump(ws, HOURS, window)
        with simulated_workspace(make_database(), tmp_path / "scratch", [HOURS]) as scratch:
            run_stages(only(scratch, as_now), HOURS, [Window(span[0], window.end_ms)])
            assert_same_bytes(mended, dump(scratch, HOURS, window))


def rescaled(candles: Candles, scale: int) -> Candles:
    factor = scale // candles.price_scale
    prices = {name: getattr(candles, name) * factor for name in ("open", "high", "low", "close")}
    return replace(candles, price_scale=scale, **prices)
