"""ADX, ATR and volatility features against TA-Lib and on a flat market."""

import numpy as np
import pytest
import talib

from regime_pipeline.domain.features.families import volatility_features, wilder_features
from regime_pipeline_tests.domain.verdicts.factories import POLICY, WINDOW, flat, from_closes, newest_window, walk

P = POLICY.features


@pytest.mark.parametrize("seed", range(5))
def test_adx_and_atr_are_those_of_talib_restarted_in_the_window(seed: int) -> None:
    candles = walk(400, seed)
    window = [getattr(candles, name)[-WINDOW:].astype(float) for name in ("high", "low", "close")]
    adx, atr = talib.ADX(*window, P.adx_bars), talib.ATR(*window, P.adx_bars)
    plus, minus = talib.PLUS_DI(*window, P.adx_bars)[-1], talib.MINUS_DI(*window, P.adx_bars)[-1]

    found = {name: column[0] for name, column in wilder_features(newest_window(candles)).items()}

    assert found["adx"] == pytest.approx(adx[-1], rel=1e-9)
    assert found["atr"] == pytest.approx(atr[-1], rel=1e-9)
    assert found["adx_change"] == pytest.approx(adx[-1] - adx[-1 - P.change_bars], abs=1e-9)
    assert found["is_adx_rising"] == bool((np.diff(adx[-P.adx_rising_bars - 1 :]) > 0).all())
    assert found["dm_direction"] == (1 if plus > minus else 2)
    logs = np.log(atr[-P.vol_of_vol_bars - 1 :])
    assert found["vol_of_vol"] == pytest.approx(np.diff(logs).std(ddof=1), rel=1e-9)
    assert found["atr_change_log"] == pytest.approx(abs(logs[-1] - logs[-1 - P.change_bars]), rel=1e-9)


def test_a_flat_market_has_neither_direction_nor_volatility() -> None:
    found = wilder_features(newest_window(flat(200)))

    assert {name: float(column[0]) for name, column in found.items()} == dict.fromkeys(found, 0.0)
    assert volatility_features(newest_window(flat(200)))["vol_log_ratio"][0] == 0.0


@pytest.mark.parametrize(("recent", "direction"), [(4.0, 1), (1.0, 0), (0.25, 2)])
def test_volatility_of_the_last_bars_against_the_window_has_a_direction(recent: float, direction: int) -> None:
    spread = np.full(200, 40)
    spread[-P.rv_short_bars :] = round(40 * recent)
    candles = from_closes(np.full(200, 1_000_000))
    wide = type(candles)(
        candles.market, 1, candles.open_time_ms, candles.open, candles.high + spread, candles.low - spread,
        candles.close, candles.volume,
    )  # fmt: skip

    found = volatility_features(newest_window(wide))

    assert found["vol_direction"][0] == direction
    share = P.rv_short_bars / WINDOW
    expected = 0.5 * np.log(recent**2 / (1 - share + share * recent**2))
    assert found["vol_log_ratio"][0] == pytest.approx(expected, abs=1e-3)
