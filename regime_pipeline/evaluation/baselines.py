"""Methods that need no library: the engine's verdict, its 3D regimes, a plain rule, the majority class.

See `peers` for models that learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES, RegimeState
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.scoring.kernels import trailing_means
from regime_pipeline.evaluation.datasets import LabelledMarket
from regime_pipeline.policy import Policy
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASS_OF_VERDICT, RANGE, TREND, VOLATILE, Classes

Predictor = Callable[[LabelledMarket], Classes]
"""Classes of every bar of a market."""
ADX_TREND_FROM: Final = 25.0
VOLATILE_FROM: Final = 1.5
_BASELINE_BARS: Final = 500
_WEIGHTS: Final = ("weight_range_ok", "weight_range_weak", "weight_trend", "weight_transition")


@dataclass(frozen=True, slots=True)
class Method:
    """Something that predicts classes.

    Parameters
    ----------
    name : str
        As the report prints it.
    fit : callable
        Learns from the first bars of a market (their number is given) and returns the predictor.
    is_causal : bool
        False where a prediction looks at later bars: a ceiling, not a baseline.
    requires : str
        The library to install, empty for none.
    """

    name: str
    fit: Callable[[LabelledMarket, int], Predictor]
    is_causal: bool = True
    requires: str = ""


def verdict_classes(market: LabelledMarket) -> Classes:
    """Return the verdicts as classes, see `CLASS_OF_VERDICT`."""
    return CLASS_OF_VERDICT[market.analysis.verdicts["verdict"]]


def class_weights(market: LabelledMarket) -> Float64:
    """Return the weights of the three classes, float64, shape (n, 3), NaN without a verdict."""
    ok, weak, trend, transition = (market.analysis.verdicts[name] for name in _WEIGHTS)
    return np.stack([ok + weak, trend, transition], axis=1)


def candle_classes(market: LabelledMarket, policy: Policy) -> Classes:
    """Return the 3D regimes as classes: a trend with momentum is TREND, else high volatility is VOLATILE."""
    codes = np.array([_class_of(state) for state in REGIME_STATES], dtype=np.int8)
    return codes[classify(market.candles, policy.candle_regime).state]


def _class_of(state: RegimeState) -> int:
    if state.simplified_regime == "UNDEFINED":
        return ABSTAIN
    if state.simplified_regime in ("TREND_UP", "TREND_DOWN"):
        return TREND
    return VOLATILE if state.volatility_state == "high" else RANGE


def rule_classes(market: LabelledMarket) -> Classes:
    """Return what a plain rule says: VOLATILE at 1.5 times the usual volatility, else TREND from ADX 25, else RANGE."""
    volatility = market.analysis.features["log_volatility"]
    at = np.arange(len(volatility))
    usual = trailing_means(volatility, at, np.maximum(at - _BASELINE_BARS, 0))
    adx = market.analysis.features["adx"]
    chosen = np.select([volatility - usual >= np.log(VOLATILE_FROM), adx >= ADX_TREND_FROM], [VOLATILE, TREND], RANGE)
    return np.where(np.isnan(volatility) | np.isnan(usual), ABSTAIN, chosen).astype(np.int8)


def _majority(market: LabelledMarket, train_bars: int) -> Predictor:
    most = np.int8(np.argmax(np.bincount(market.truth[:train_bars], minlength=3)))
    return lambda other: np.full(len(other.candles), most, dtype=np.int8)


def own_methods(policy: Policy) -> tuple[Method, ...]:
    """Return the methods that need no library; the first one is the engine's verdict."""
    return (
        Method("verdict (this project)", lambda *_: verdict_classes),
        Method("3D regimes (this project)", lambda *_: lambda market: candle_classes(market, policy)),
        Method("rule: Wilder ADX 25 + volatility 1.5x", lambda *_: rule_classes),
        Method("majority class", _majority),
    )
