"""Tests of `services.causality`: sound engines pass on every column, and each kind of leak is caught by its check."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.schema import FEATURES, SCORES, VERDICT_COLUMNS
from regime_pipeline.evaluation.causality import CausalityCheck, engine_checks, verify_causality
from regime_pipeline.services.imports.plan import read_files
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline_tests.domain.verdicts.factories import NULLS, POLICY, walk

CANDLES = walk(1_600, 5)
CUTS = [400, 800, 1_200]


@pytest.mark.parametrize(("timeframe", "bars"), [("15m", 4_000), ("1h", 1_600), ("4h", 1_500)])
def test_our_engines_pass_every_check(timeframe: str, bars: int) -> None:
    whole = walk(bars, 5, Market("TEST-USDT", timeframe))

    report = verify_causality(whole[np.delete(np.arange(bars), [300, 301])], POLICY, NULLS, cuts=3)

    assert report.is_causal
    assert [check.name for check in report.checks if check.output == "hourly verdicts"] == [
        *("the future cut off", "another future", "a later start", "single hours"),
    ]
    columns = len(FEATURES) + len(SCORES) + len(VERDICT_COLUMNS)
    assert {c.columns for c in report.checks} == {2, columns}
    assert all(check.rows > 10 for check in report.checks if check.name != "a later start")


def test_real_candles_pass_every_check(shared_data: Path) -> None:
    files = sorted((shared_data / "binance-vision/data/spot/monthly/klines/ETHUSDT/1h").glob("*.zip"))
    found = read_files(files, Market("ETH-USDT", "1h"), ReadOptions(), 2 * 10**12).candles

    report = verify_causality(found, POLICY, NULLS, cuts=2)

    assert report.is_causal
    assert report.candles == len(found)


def sma(candles: Candles, shift: int) -> Rows:
    """A moving average of 5 closes that looks `shift` bars ahead."""
    closes = candles.close.astype(np.float64)
    padded = np.concatenate([np.full(4, closes[0]), closes, np.full(shift, closes[-1])])
    mean = np.convolve(padded, np.ones(5) / 5, "valid")[shift:]
    return {"known_at": candles.close_time_ms, "mean": mean}


def from_the_first_bar(candles: Candles) -> Rows:
    """A running maximum: causal, but it depends on where the data start."""
    return {"known_at": candles.close_time_ms, "highest": np.maximum.accumulate(candles.high)}


def scaled_by_the_whole(candles: Candles) -> Rows:
    """Closes over their overall mean: the classic leak."""
    return {"known_at": candles.close_time_ms, "share": candles.close / candles.close.mean()}


def differing(checks: list[CausalityCheck]) -> dict[str, bool]:
    return {check.name: check.differing > 0 for check in checks}


def test_a_sound_engine_of_another_kind_passes() -> None:
    checks = list(engine_checks("means", lambda c: sma(c, 0), CANDLES, CUTS, 5 * HOUR_MS))

    assert differing(checks) == {"the future cut off": False, "another future": False, "a later start": False}
    assert [check.rows for check in checks] == [2_400, 2_400, 3 * 1_600 - 2_400 - 3 * 4]


def test_one_bar_of_lookahead_is_caught_and_named() -> None:
    checks = list(engine_checks("means", lambda c: sma(c, 1), CANDLES, CUTS, 5 * HOUR_MS))

    assert differing(checks)["another future"]
    cut_off = checks[0]
    assert cut_off.differing == len(CUTS)  # the last row of each prefix
    assert cut_off.examples[0].endswith(" mean")


def test_dependence_on_the_start_is_caught() -> None:
    checks = list(engine_checks("highest", from_the_first_bar, CANDLES, CUTS, 5 * HOUR_MS))

    found = differing(checks)
    assert (found["the future cut off"], found["a later start"]) == (False, True)


def test_scaling_by_the_whole_is_caught_everywhere() -> None:
    assert all(differing(list(engine_checks("share", scaled_by_the_whole, CANDLES, CUTS, 5 * HOUR_MS))).values())


def test_a_row_that_only_a_part_has_differs() -> None:
    def extra_row(candles: Candles) -> Rows:
        """One more row for each series that is not the whole."""
        rows = sma(candles, 0)
        if len(candles) == len(CANDLES):
            return rows
        known = np.append(rows["known_at"], rows["known_at"][-1] + 1)
        return {"known_at": known, "mean": np.append(rows["mean"], 0.0)}

    first = next(engine_checks("means", extra_row, CANDLES, CUTS, 5 * HOUR_MS))

    assert first.differing == len(CUTS)


def test_too_few_candles_are_refused() -> None:
    with pytest.raises(UsageError, match="5 candles are too few to verify"):
        verify_causality(CANDLES[:5], POLICY, NULLS)
