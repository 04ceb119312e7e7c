"""A second generator, of another design: a Markov-modulated diffusion in small steps, after the literature.

Nothing is ever fitted on these markets; they say whether a figure survives outside the family it was fitted on.
A hidden Markov chain in (nearly) continuous time picks the law of the log price: an Ornstein-Uhlenbeck process around
a fixed level, a geometric Brownian motion with drift, or a Kou jump diffusion with a higher volatility; volatility
itself follows a square-root process. It shares neither discretization, tails nor spell law with `regimes` and
`family`: spells are exponential, bars are aggregated from twelve inner steps, tails come from jumps and from the
square-root process instead of Student shocks.

Sources: J. D. Hamilton, "A new approach to the economic analysis of nonstationary time series and the business cycle",
Econometrica 57 (1989), for the Markov switching of means; R. J. Elliott and C. A. Wilson, "The term structure of
interest rates in a hidden Markov setting", in Hidden Markov Models in Finance (Springer, 2007), for the
Markov-modulated Ornstein-Uhlenbeck process; S. G. Kou, "A jump-diffusion model for option pricing", Management Science
48 (2002), for double exponential jumps; S. L. Heston, Review of Financial Studies 6 (1993), for the square-root
variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.simulation.regimes import (
    DEFAULT_START_MS,
    RANGE,
    TREND_DOWN,
    TREND_UP,
    VOLATILE,
    Labels,
    Simulation,
)

_STREAM: Final = 3
_INNER_STEPS: Final = 12
_START_PRICE: Final = 20_000.0
_PRICE_SCALE: Final = 100
_NEVER_DRIES: Final = 0.05
"""Least variance over its mean; the square-root process is reflected there."""


@dataclass(frozen=True, slots=True)
class ForeignParameters:
    """Parameters of one market; lengths in bars, `sigma` per bar in logs, drift and jumps in sigmas.

    Parameters
    ----------
    sigma : float
        Long-run standard deviation of a bar's log return in RANGE and TREND.
    half_life_bars : float
        Of the Ornstein-Uhlenbeck process.
    drift_sigmas : float
        Drift per bar of the geometric Brownian motion.
    volatile_multiplier : float
        Diffusion of the jump regime over that of the others.
    jumps_per_bar, jump_sigmas : float
        Intensity and mean size of the double exponential jumps, in the jump regime.
    mean_bars : tuple of float
        Mean length of RANGE, TREND (either) and VOLATILE spells; exponential.
    variance_speed, variance_noise : float
        Mean reversion per bar and volatility of the square-root process of the variance over its mean.
    """

    sigma: float
    half_life_bars: float
    drift_sigmas: float
    volatile_multiplier: float
    jumps_per_bar: float
    jump_sigmas: float
    mean_bars: tuple[float, float, float]
    variance_speed: float
    variance_noise: float


def draw_foreign(seed: int) -> ForeignParameters:
    """Return the parameters of a market; `seed` is not negative."""
    random = np.random.Generator(np.random.PCG64([seed, _STREAM]))
    return ForeignParameters(
        sigma=float(random.uniform(0.003, 0.009)),
        half_life_bars=float(random.uniform(5.0, 15.0)),
        drift_sigmas=float(random.uniform(0.2, 0.5)),
        volatile_multiplier=float(random.uniform(1.5, 2.8)),
        jumps_per_bar=float(random.uniform(0.03, 0.12)),
        jump_sigmas=float(random.uniform(2.0, 5.0)),
        mean_bars=(float(random.uniform(80, 260)), float(random.uniform(80, 260)), float(random.uniform(60, 200))),
        variance_speed=float(random.uniform(0.01, 0.08)),
        variance_noise=float(random.uniform(0.04, 0.18)),
    )


def simulate_foreign(market: Market, bars: int, seed: int, start_ms: int = DEFAULT_START_MS) -> Simulation:
    """Return a Markov-modulated market: candles with the regime at the end of each.

    Parameters
    ----------
    market : Market
        Symbol and timeframe; the symbol only names the result.
    bars : int
        Number of candles, at least 1.
    seed : int
        Not negative; it gives the parameters (`draw_foreign`) and the path.
    start_ms : int
        Open time of the first bar, epoch milliseconds UTC, a multiple of the bar length.

    Returns
    -------
    Simulation
        Labels are codes into `regimes.LABELS`. The chain may switch inside a bar, which then is mixed; its label is
        the regime that it spends most inner steps in.
    """
    from regime_pipeline.domain.simulation.kernels import chain_states, modulated_path

    drawn = draw_foreign(seed)
    random = np.random.Generator(np.random.PCG64([seed, _STREAM, 1]))
    count = bars * _INNER_STEPS
    states = chain_states(random.random((2, count)), *_chain(drawn))
    path = modulated_path(
        states,
        random.standard_normal(count),
        random.standard_normal(count),
        _jumps(random, states, drawn),
        np.array(_coefficients(drawn), dtype=np.float64),
    )
    return Simulation(_bars(market, random, path, bars, start_ms), _labels(states, bars))


def _chain(drawn: ForeignParameters) -> tuple[Float64, Float64]:
    """Probability to remain per inner step, and cumulative probabilities of the next state, by label."""
    in_range, in_trend, in_jumps = drawn.mean_bars
    means = np.array([in_range, in_trend, in_trend, in_jumps]) * _INNER_STEPS
    following = np.zeros((4, 4))
    following[RANGE, [TREND_UP, TREND_DOWN, VOLATILE]] = 0.25, 0.25, 0.5
    following[TREND_UP, [RANGE, VOLATILE]] = following[TREND_DOWN, [RANGE, VOLATILE]] = 0.5
    following[VOLATILE, [RANGE, TREND_UP, TREND_DOWN]] = 0.5, 0.25, 0.25
    return 1.0 - 1.0 / means, np.cumsum(following, axis=1)


def _coefficients(drawn: ForeignParameters) -> tuple[float, ...]:
    """Per inner step: sigma, drift, reversion, multiplier, speed and noise of the variance, its least value."""
    root = np.sqrt(_INNER_STEPS)
    return (
        drawn.sigma / root,
        drawn.sigma * drawn.drift_sigmas / _INNER_STEPS,
        -float(np.expm1(-np.log(2.0) / (drawn.half_life_bars * _INNER_STEPS))),
        drawn.volatile_multiplier,
        drawn.variance_speed / _INNER_STEPS,
        drawn.variance_noise / root,
        _NEVER_DRIES,
    )


def _jumps(random: np.random.Generator, states: Labels, drawn: ForeignParameters) -> Float64:
    """Double exponential jumps of the jump regime, in logs, zero elsewhere."""
    is_jump = random.random(len(states)) < drawn.jumps_per_bar / _INNER_STEPS
    size = drawn.sigma * drawn.jump_sigmas * random.standard_exponential(len(states))
    sign = np.where(random.random(len(states)) < 0.5, -1.0, 1.0)
    return np.asarray(is_jump * (states == VOLATILE) * size * sign)


def _labels(states: Labels, bars: int) -> Labels:
    """The most frequent state of each bar's inner steps."""
    steps = states.reshape(bars, _INNER_STEPS)
    counts = np.stack([(steps == code).sum(axis=1) for code in (RANGE, TREND_UP, TREND_DOWN, VOLATILE)])
    return np.asarray(counts.argmax(axis=0), dtype=np.int8)


def _bars(market: Market, random: np.random.Generator, path: Float64, bars: int, start_ms: int) -> Candles:
    """Candles of the inner path; its extremes are those of the inner steps."""
    steps = path[1:].reshape(bars, _INNER_STEPS)
    opens = path[:-1:_INNER_STEPS]
    logs = (opens, np.maximum(opens, steps.max(axis=1)), np.minimum(opens, steps.min(axis=1)), steps[:, -1])
    moved = np.abs(np.diff(path)).reshape(bars, _INNER_STEPS).sum(axis=1)
    volume = np.round(1.0 + 5_000.0 * moved * np.exp(0.5 * random.standard_normal(bars)), 3)
    times: Int64 = start_ms + np.arange(bars, dtype=np.int64) * market.step_ms
    prices: list[Any] = [_START_PRICE * np.exp(log) for log in logs]
    return Candles.from_prices(market, _PRICE_SCALE, times, prices, volume)
