"""Markets with known regimes, bar by bar: what accuracy, the null table and the restart gates are measured on.

See `market` for a market over calendar time with minutes, seasons and outages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64

Difficulty = Literal["easy", "medium", "hard"]
Labels = NDArray[np.int8]
LABELS: Final = ("RANGE", "TREND_UP", "TREND_DOWN", "VOLATILE")
"""True regimes by label code. TREND_UP and TREND_DOWN are both TREND; VOLATILE is what TRANSITION must find."""
RANGE, TREND_UP, TREND_DOWN, VOLATILE = range(4)
SIGN: Final = (0, 1, -1, 0)
"""Direction of each label's drift."""

HOURLY_SIGMA: Final = 0.005
"""Standard deviation of an hour's log return in the calm market; other timeframes by the square root of time."""
DEFAULT_START_MS: Final = 1_577_836_800_000
_START_PRICE: Final = 1_000.0
_PRICE_SCALE: Final = 10_000
_VOL_PERSISTENCE: Final = 0.97
_VOL_SIGMA: Final = 0.3
_SPELL_SHAPE: Final = 4.0
_SHORTEST_SPELL_BARS: Final = 20
_FIRST_TWO: Final = 2


@dataclass(frozen=True, slots=True)
class RegimeStrength:
    """How clearly the regimes differ; all lengths in bars, all sizes in bar standard deviations.

    Parameters
    ----------
    half_life_bars : float
        Half-life of the Ornstein-Uhlenbeck reversion in RANGE.
    trend_drift_sigmas : float
        Drift per bar in a trend.
    volatile_multiplier : float
        Standard deviation in VOLATILE over that in the other regimes.
    spell_bars : float
        Mean length of a spell (gamma, shape 4).
    """

    half_life_bars: float
    trend_drift_sigmas: float
    volatile_multiplier: float
    spell_bars: float


STRENGTHS: Final[dict[str, RegimeStrength]] = {
    "easy": RegimeStrength(5.0, 0.5, 3.5, 240.0),
    "medium": RegimeStrength(8.0, 0.35, 2.5, 150.0),
    "hard": RegimeStrength(14.0, 0.22, 1.8, 100.0),
}


@dataclass(frozen=True, eq=False)
class Simulation:
    """Candles with the regime that made each; `labels` are int8 codes into `LABELS`, shape (n,)."""

    candles: Candles
    labels: Labels


def simulate(
    market: Market, bars: int, seed: int, difficulty: Difficulty = "medium", start_ms: int = DEFAULT_START_MS
) -> Simulation:
    """Return a market of alternating RANGE, TREND and VOLATILE spells.

    Parameters
    ----------
    market : Market
        Symbol and timeframe; the symbol only names the result.
    bars : int
        Number of candles, at least 1.
    seed : int
        Not negative; the same seed gives the same candles.
    difficulty : {"easy", "medium", "hard"}
        See `STRENGTHS`.
    start_ms : int
        Open time of the first bar, epoch milliseconds UTC, a multiple of the bar length.

    Notes
    -----
    RANGE reverts to the price at which the spell began. Every bar's return is Student-t with 5 degrees of freedom
    times a stochastic volatility (AR(1) of its logarithm). Switches are abrupt and no bar is mixed, so figures on
    these candles are an upper bound of what a real market allows.
    """
    random = np.random.default_rng([seed, 1])
    strength = STRENGTHS[difficulty]
    labels, is_start = _spells(random, bars, strength.spell_bars)
    return Simulation(_candles(market, random, labels, is_start, strength, start_ms), labels)


def simulate_null(market: Market, bars: int, seed: int, start_ms: int = DEFAULT_START_MS) -> Candles:
    """Return a driftless walk with the same tails and stochastic volatility: a market without any regime.

    Parameters are those of `simulate`.
    """
    random = np.random.default_rng([seed, 0])
    walk = RegimeStrength(np.inf, 0.0, 1.0, np.inf)
    none = np.zeros(bars, dtype=np.int8)
    return _candles(market, random, none, np.zeros(bars, dtype=np.bool_), walk, start_ms)


def _spells(random: np.random.Generator, bars: int, mean_bars: float) -> tuple[Labels, NDArray[np.bool_]]:
    """Label of each bar and where a spell begins; a class never follows itself."""
    labels, is_start = np.empty(bars, dtype=np.int8), np.zeros(bars, dtype=np.bool_)
    at, label, net = 0, VOLATILE, 0.0
    while at < bars:
        label = next_label(random, label, balancing_probability(net / mean_bars))
        length = max(_SHORTEST_SPELL_BARS, round(random.gamma(_SPELL_SHAPE, mean_bars / _SPELL_SHAPE)))
        labels[at : at + length] = label
        is_start[at] = True
        at += length
        net += SIGN[label] * length
    return labels, is_start


def next_label(random: np.random.Generator, label: int, up_probability: float = 0.5) -> int:
    """Return the label of the next spell: one of the two other classes, a trend up with the given probability."""
    classes = [code for code in (RANGE, TREND_UP, VOLATILE) if code != (TREND_UP if label == TREND_DOWN else label)]
    chosen = classes[int(random.integers(_FIRST_TWO))]
    return TREND_DOWN if chosen == TREND_UP and random.random() >= up_probability else chosen


def balancing_probability(net_trend_spells: float) -> float:
    """Return how likely the next trend goes up, so that long markets stay within a few trends of their first price.

    Parameters
    ----------
    net_trend_spells : float
        Bars of up trend less bars of down trend so far, in mean spells.
    """
    return float(1.0 / (1.0 + np.exp(net_trend_spells)))


def dynamics(labels: Labels, strength: RegimeStrength, sigma: float) -> dict[str, Float64]:
    """Return drift, reversion and volatility multiplier of each step; float64, shape (n,) each.

    Parameters
    ----------
    labels : ndarray of int8, shape (n,)
        Codes into `LABELS`.
    strength : RegimeStrength
        Lengths and sizes per step.
    sigma : float
        Standard deviation of a calm step's log return.
    """
    drift = strength.trend_drift_sigmas * sigma
    reversion = -np.expm1(-np.log(2.0) / strength.half_life_bars)
    return {
        "drift": np.array([0.0, drift, -drift, 0.0])[labels],
        "reversion": np.array([reversion, 0.0, 0.0, 0.0])[labels],
        "multiplier": np.array([1.0, 1.0, 1.0, strength.volatile_multiplier])[labels],
    }


def student_scale(random: np.random.Generator, count: int) -> Float64:
    """Return the scale that turns standard normals into Student-t(5) of unit variance; float64, shape (count,)."""
    return np.sqrt(3.0 / random.chisquare(5.0, count))


def log_extremes(path: Float64, sigma: Float64, uniforms: Float64) -> tuple[Float64, Float64]:
    """Return highest and lowest log price of each step, drawn from a Brownian bridge between its ends.

    Parameters
    ----------
    path : ndarray of float64, shape (n + 1,)
        Log price at the steps' ends.
    sigma : ndarray of float64, shape (n,)
        Standard deviation of each step.
    uniforms : ndarray of float64, shape (2, n)
        In (0, 1]. Each extreme has its exact law given both ends, so the Rogers-Satchell variance of the bars is
        unbiased; the two are drawn independently of each other.
    """
    move = np.diff(path)
    reach = np.sqrt(move * move - 2.0 * sigma * sigma * np.log(uniforms))
    return path[:-1] + (move + reach[0]) / 2.0, path[:-1] + (move - reach[1]) / 2.0


def _candles(
    market: Market,
    random: np.random.Generator,
    labels: Labels,
    is_start: NDArray[np.bool_],
    strength: RegimeStrength,
    start_ms: int,
) -> Candles:
    """Candles of a labelled path."""
    from regime_pipeline.domain.simulation.kernels import autoregression, log_path

    bars = len(labels)
    sigma = HOURLY_SIGMA * np.sqrt(market.step_ms / HOUR_MS)
    force = dynamics(labels, strength, sigma)
    log_vol = _VOL_SIGMA * autoregression(random.standard_normal(bars), _VOL_PERSISTENCE) - _VOL_SIGMA**2
    relative = force["multiplier"] * np.exp(log_vol) * student_scale(random, bars)
    shocks = sigma * relative * random.standard_normal(bars)
    path = log_path(shocks, force["drift"], force["reversion"], is_start, np.zeros(bars))
    high, low = log_extremes(path, sigma * relative, 1.0 - random.random((2, bars)))
    volume = np.round(100.0 * relative * np.exp(0.4 * random.standard_normal(bars)), 5)
    times: Int64 = start_ms + np.arange(bars, dtype=np.int64) * market.step_ms
    prices: list[Any] = [_START_PRICE * np.exp(log) for log in (path[:-1], high, low, path[1:])]
    return Candles.from_prices(market, _PRICE_SCALE, times, prices, volume)
