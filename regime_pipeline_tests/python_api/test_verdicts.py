"""Tests of `python_api.verdicts`: one row per observation, and bundles that suffice or are refused."""

from __future__ import annotations

from pathlib import Path

import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import regime_pipeline as rp
from regime_pipeline.domain.market_data.market import HOUR_MS, TIMEFRAME_MINUTES
from regime_pipeline.domain.market_data.snapshot import build_snapshots
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.verdicts.engine import reach_hours
from regime_pipeline.domain.verdicts.explanation import competing, explain
from regime_pipeline.policy import default_policy
from regime_pipeline.storage.snapshots.bundle import bundle
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline_tests.domain.verdicts.factories import run
from regime_pipeline_tests.python_api.factories import candles, frame_of

BARS = {"3m": 15_000, "15m": 3_000, "30m": 1_500, "1h": 900, "2h": 900, "4h": 900}
DOCUMENTED = [
    *("open_time", "as_of_bar", "known_at", "verdict", "confidence", "hold_24h", "hold_72h", "direction"),
    *("dominant_risk", "trend_score", "mean_rev_score", "vol_change_score", "range_quality_score"),
    *("grid_capacity_score", "range_low", "range_high", "range_confidence", "competing", "factors", "policy_hash"),
    "status",
]


@pytest.mark.parametrize("timeframe", list(BARS))
def test_one_row_per_observation_as_the_engine_says(timeframe: str) -> None:
    found = candles(BARS[timeframe], timeframe)
    rows = rp.verdicts(frame_of(found), timeframe, price_scale=found.price_scale)

    step = found.market.step_ms
    count = len(found) // max(60 // TIMEFRAME_MINUTES[timeframe], 1)
    starts = found.open_time_ms[0] + max(step, HOUR_MS) * pd.RangeIndex(count)
    assert list(rows.columns) == DOCUMENTED
    assert rows["open_time"].tolist() == pd.to_datetime(starts, unit="ms", utc=True).tolist()
    hours = starts.to_numpy() + max(step, HOUR_MS) - HOUR_MS
    assert rows["known_at"].tolist() == pd.to_datetime(hours + HOUR_MS, unit="ms", utc=True).tolist()
    engine = run(found, hours)
    expected = engine.verdicts
    assert rows["verdict"].tolist() == [VERDICTS[code] for code in expected["verdict"]]
    assert rows["confidence"].tolist() == expected["confidence"].tolist()
    factors = explain(expected, engine.scores, engine.features, default_policy())
    assert rows["factors"].tolist() == [[factor.document() for factor in hour] for hour in factors]
    assert rows["competing"].tolist() == competing(expected)
    assert len(set(rows["verdict"])) > 2


def test_explained_rows_add_what_they_were_computed_from() -> None:
    frame = frame_of(candles(400))

    rows = rp.verdicts(frame, explain=True)

    pd.testing.assert_frame_equal(rows[DOCUMENTED], rp.verdicts(frame))
    assert {"weight_trend", "rank_adx", "atr", "ou_half_life_bars", "close"} <= set(rows) - set(DOCUMENTED)


def test_results_go_to_polars_and_arrow_as_they_are() -> None:
    frame = frame_of(candles(400))

    for rows in (rp.verdicts(frame).drop(columns="factors"), rp.classify_candles(frame)):
        for name in ("open_time", "known_at", "confidence"):
            assert pl.DataFrame(rows)[name].to_list() == pa.table(rows)[name].to_pylist() == rows[name].tolist()


def test_several_markets_are_the_rows_of_each() -> None:
    frames = {"AUSDT": frame_of(candles(400)), "B/USDT": frame_of(candles(350, seed=4))}

    rows = rp.verdicts_many(frames, workers=2)

    assert rows["symbol"].tolist() == ["A-USDT"] * 400 + ["B-USDT"] * 350
    for symbol, frame in zip(("A-USDT", "B-USDT"), frames.values(), strict=True):
        of_one = rows[rows["symbol"] == symbol].drop(columns="symbol").reset_index(drop=True)
        pd.testing.assert_frame_equal(of_one, rp.verdicts(frame))


def test_several_markets_name_the_one_that_is_refused() -> None:
    frame = frame_of(candles(400))

    with pytest.raises(rp.RegimeError, match="^B-USDT: The candles have no column low"):
        rp.verdicts_many({"AUSDT": frame, "BUSDT": frame.drop(columns="low")})
    with pytest.raises(rp.RegimeError, match="^A-USDT_1h candle .* finer than a tick"):
        rp.verdicts_many({"AUSDT": frame}, price_scale=1)
    with pytest.raises(rp.RegimeError, match="There are no frames"):
        rp.verdicts_many({})


def test_warm_up_is_insufficient_data_and_no_status_is_nan() -> None:
    rows = rp.verdicts(frame_of(candles(400)))

    assert set(rows["verdict"][:168]) == {"INSUFFICIENT_DATA"}
    assert (rows["confidence"][:168] == 0).all()
    assert set(rows["status"][:168]) == {"WARMING_UP"}
    assert not rows.select_dtypes("category").isna().any().any()
    assert [factor["rule"] for factor in rows["factors"][0]] == ["DATA"]


def test_an_hour_that_is_not_over_has_no_row_yet() -> None:
    found = candles(402, "15m")

    assert len(rp.verdicts(frame_of(found), "15m")) == 100
    assert len(rp.verdicts(frame_of(found[:403]), "15m")) == 100
    assert len(rp.verdicts(frame_of(candles(404, "15m")), "15m")) == 101


def test_a_prefix_gives_the_same_rows() -> None:
    frame = frame_of(candles(900))

    pd.testing.assert_frame_equal(rp.verdicts(frame[:700]), rp.verdicts(frame)[:700])


def test_an_empty_frame_gives_no_rows() -> None:
    rows = rp.verdicts(frame_of(candles(5))[:0])

    assert len(rows) == 0
    assert list(rows.columns) == DOCUMENTED


def test_another_policy_needs_its_own_null_table() -> None:
    policy = default_policy()
    other = policy.model_copy(update={"features": policy.features.model_copy(update={"er_bars": 40})})

    with pytest.raises(rp.RegimeError, match="null table"):
        rp.verdicts(frame_of(candles(300)), policy=other)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SnapshotStore:
    """Snapshots of an hourly market."""
    found, kept = candles(1_000), SnapshotStore(str(tmp_path_factory.mktemp("snapshots")))
    start = int(found.open_time_ms[0])
    window = Window(start, start + len(found) * HOUR_MS)
    statuses = pd.array([0] * len(found), dtype="int8").to_numpy()
    kept.write(build_snapshots(found, statuses, window, source="test", config_hash="c", collected_at_ms=2 * 10**12))
    return kept


def test_a_bundle_alone_gives_the_row_of_the_whole_series(store: SnapshotStore, tmp_path: Path) -> None:
    found = candles(1_000)
    hour = int(found.open_time_ms[950])
    document = bundle(store, found.market, hour, reach_hours(found.market, default_policy()))
    path = tmp_path / "bundle.json"
    path.write_bytes(orjson.dumps(document))

    expected = rp.verdicts(frame_of(found), explain=True, price_scale=found.price_scale).iloc[950]

    for given in (path, str(path), document):
        row = rp.analyze_snapshot(given)
        assert row.name == "CANDLES-USDT_1h"
        pd.testing.assert_series_equal(row, expected, check_names=False)


def test_property_79_a_bundle_without_enough_history_is_refused(store: SnapshotStore) -> None:
    found = candles(1_000)
    needed = reach_hours(found.market, default_policy())
    short = bundle(store, found.market, int(found.open_time_ms[950]), needed - 1)

    with pytest.raises(rp.RegimeError, match=f"embeds {needed - 1} hours of history; its verdict depends on {needed}"):
        rp.analyze_snapshot(short)


@pytest.mark.parametrize(("content", "says"), [("{", "is not JSON"), ("[]", "top level is not"), ("{}", "symbol")])
def test_what_is_not_a_bundle_is_refused(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "bundle.json"
    path.write_text(content)

    with pytest.raises(rp.RegimeError, match=says):
        rp.analyze_snapshot(path)
    with pytest.raises(rp.RegimeError, match="Cannot read .*nowhere"):
        rp.analyze_snapshot(tmp_path / "nowhere")
