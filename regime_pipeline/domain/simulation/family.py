"""A family of simulated markets: each member draws its own parameters, so nothing can be tuned to one of them.

See `regimes` for the three fixed difficulties, `foreign` for a generator of another design.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.simulation.regimes import (
    DEFAULT_START_MS,
    HOURLY_SIGMA,
    SIGN,
    VOLATILE,
    Labels,
    RegimeStrength,
    Simulation,
    balancing_probability,
    dynamics,
    log_extremes,
    next_label,
)

_STREAM: Final = 2
"""Second word of the seed, so that a member shares no random number with `regimes.simulate` (1) or its walks (0)."""
_START_PRICE: Final = 1_000.0
_PRICE_SCALE: Final = 10_000
_SHORTEST_SPELL_BARS: Final = 20
_HALF_LIFE: Final = (4.0, 20.0)
_DRIFT: Final = (0.15, 0.6)
_MULTIPLIER: Final = (1.6, 4.0)
_SPELL_BARS: Final = (60.0, 300.0)
_SPELL_SHAPE: Final = (1.0, 6.0)
_DEGREES: Final = (3.0, 12.0)
_VOL_PERSISTENCE: Final = (0.92, 0.996)
_VOL_SPREAD: Final = (0.1, 0.55)
_SEASON: Final = (0.0, 0.35)
_JUMP_SHARE: Final = 0.5
_JUMPS_PER_BAR: Final = (0.001, 0.006)
_JUMP_SIGMAS: Final = (2.0, 6.0)
_MIXED_BARS: Final = (0, 13)
_CENTER_WANDER: Final = (0.0, 0.12)
_GAP_SHARE: Final = (0.0005, 0.003)


@dataclass(frozen=True, slots=True)
class FamilyMember:
    """The drawn parameters of one market; lengths in bars, sizes in standard deviations of a calm bar.

    Parameters
    ----------
    half_life_bars, trend_drift_sigmas, volatile_multiplier, spell_bars : float
        As in `RegimeStrength`.
    spell_shape : float
        Shape of the gamma law of spell lengths; 1 is exponential.
    degrees : float
        Of the Student-t shocks, above 2.
    vol_persistence, vol_spread : float
        AR(1) coefficient and standard deviation of the log of the background volatility.
    season : float
        Amplitude of the daily season of volatility, 0..1.
    jumps_per_bar, jump_sigmas : float
        Probability and standard deviation of a jump; 0 in about half of the members.
    mixed_bars : int
        Bars over which one regime turns into the next; 0 is abrupt.
    center_wander : float
        Standard deviation per bar of the random walk of the price that a range reverts to.
    """

    half_life_bars: float
    trend_drift_sigmas: float
    volatile_multiplier: float
    spell_bars: float
    spell_shape: float
    degrees: float
    vol_persistence: float
    vol_spread: float
    season: float
    jumps_per_bar: float
    jump_sigmas: float
    mixed_bars: int
    center_wander: float


def draw_member(seed: int) -> FamilyMember:
    """Return the parameters of a member; the same for every length and timeframe.

    Parameters
    ----------
    seed : int
        Not negative.

    Notes
    -----
    Every parameter is drawn uniformly from its range, independently of the others.
    """
    random = np.random.Generator(np.random.PCG64([seed, _STREAM]))

    def draw(bounds: tuple[float, float]) -> float:
        return float(random.uniform(*bounds))

    has_jumps = random.random() < _JUMP_SHARE
    return FamilyMember(
        half_life_bars=draw(_HALF_LIFE),
        trend_drift_sigmas=draw(_DRIFT),
        volatile_multiplier=draw(_MULTIPLIER),
        spell_bars=draw(_SPELL_BARS),
        spell_shape=draw(_SPELL_SHAPE),
        degrees=draw(_DEGREES),
        vol_persistence=draw(_VOL_PERSISTENCE),
        vol_spread=draw(_VOL_SPREAD),
        season=draw(_SEASON),
        jumps_per_bar=draw(_JUMPS_PER_BAR) if has_jumps else 0.0,
        jump_sigmas=draw(_JUMP_SIGMAS) if has_jumps else 0.0,
        mixed_bars=int(random.integers(*_MIXED_BARS)),
        center_wander=draw(_CENTER_WANDER),
    )


def simulate_member(
    market: Market, bars: int, seed: int, start_ms: int = DEFAULT_START_MS, *, has_gaps: bool = False
) -> Simulation:
    """Return a member of the family: candles with the regime that made each.

    Parameters
    ----------
    market : Market
        Symbol and timeframe; the symbol only names the result.
    bars : int
        Number of bars, at least 1; with gaps some of them are left out of the result.
    seed : int
        Not negative; it gives the parameters (`draw_member`) and the candles.
    start_ms : int
        Open time of the first bar, epoch milliseconds UTC, a multiple of the bar length.
    has_gaps : bool
        Leave out single bars and short runs of them, as an exchange's outages do.

    Returns
    -------
    Simulation
        Labels are codes into `regimes.LABELS`. In a mixed bar the label is that of the new spell.

    Notes
    -----
    Random numbers come from PCG64 and are combined by elementary arithmetic alone; candles are rounded to ticks, so
    the same seed gives the same candles on every machine up to the last bit of `exp` and `log`.
    """
    member = draw_member(seed)
    random = np.random.Generator(np.random.PCG64([seed, _STREAM, 1]))
    labels, is_start = _spells(random, bars, member)
    candles = _candles(market, random, labels, is_start, member, start_ms)
    if not has_gaps:
        return Simulation(candles, labels)
    is_present = ~_gaps(random, bars)
    return Simulation(candles[is_present], labels[is_present])


def _spells(random: np.random.Generator, bars: int, member: FamilyMember) -> tuple[Labels, NDArray[np.bool_]]:
    """Label of each bar and where a spell begins; a class never follows itself."""
    labels, is_start = np.empty(bars, dtype=np.int8), np.zeros(bars, dtype=np.bool_)
    at, label, net = 0, VOLATILE, 0.0
    while at < bars:
        label = next_label(random, label, balancing_probability(net / member.spell_bars))
        drawn = random.gamma(member.spell_shape, member.spell_bars / member.spell_shape)
        length = max(_SHORTEST_SPELL_BARS, round(drawn))
        labels[at : at + length] = label
        is_start[at] = True
        at += length
        net += SIGN[label] * length
    return labels, is_start


def _candles(
    market: Market,
    random: np.random.Generator,
    labels: Labels,
    is_start: NDArray[np.bool_],
    member: FamilyMember,
    start_ms: int,
) -> Candles:
    """Candles of a labelled path."""
    from regime_pipeline.domain.simulation.kernels import autoregression, log_path

    bars = len(labels)
    times: Int64 = start_ms + np.arange(bars, dtype=np.int64) * market.step_ms
    sigma = HOURLY_SIGMA * np.sqrt(market.step_ms / HOUR_MS)
    force = {name: _mixed(values, is_start, member.mixed_bars) for name, values in _dynamics(labels, member).items()}
    log_vol = member.vol_spread * autoregression(random.standard_normal(bars), member.vol_persistence)
    season = 1.0 + member.season * np.cos(2.0 * np.pi * (times / HOUR_MS % 24.0 - 15.0) / 24.0)
    tails = np.sqrt((member.degrees - 2.0) / random.chisquare(member.degrees, bars))
    relative = force["multiplier"] * np.exp(log_vol - member.vol_spread**2) * season * tails
    jumps = (random.random(bars) < member.jumps_per_bar) * member.jump_sigmas * random.standard_normal(bars)
    shocks = sigma * (relative * random.standard_normal(bars) + jumps)
    wander = sigma * member.center_wander * random.standard_normal(bars)
    path = log_path(shocks, sigma * force["drift"], force["reversion"], is_start, wander)
    high, low = log_extremes(path, sigma * relative, 1.0 - random.random((2, bars)))
    volume = np.round(100.0 * relative * np.exp(0.4 * random.standard_normal(bars)), 5)
    prices: list[Any] = [_START_PRICE * np.exp(log) for log in (path[:-1], high, low, path[1:])]
    return Candles.from_prices(market, _PRICE_SCALE, times, prices, volume)


def _dynamics(labels: Labels, member: FamilyMember) -> dict[str, Float64]:
    """Drift, reversion and multiplier of each bar in units of a calm bar."""
    strength = RegimeStrength(
        member.half_life_bars, member.trend_drift_sigmas, member.volatile_multiplier, member.spell_bars
    )
    return dynamics(labels, strength, 1.0)


def _mixed(values: Float64, is_start: NDArray[np.bool_], bars: int) -> Float64:
    """Values that slide in a straight line from the old spell's to the new one's over the first bars of a spell."""
    out = values.copy()
    for first in np.flatnonzero(is_start)[1:].tolist():
        count = min(bars, len(values) - first)
        share = np.arange(1, count + 1) / (bars + 1.0)
        out[first : first + count] = (1.0 - share) * values[first - 1] + share * values[first]
    return out


def _gaps(random: np.random.Generator, bars: int) -> NDArray[np.bool_]:
    """Bars that were never published; the first and the last one are."""
    is_gone = np.zeros(bars, dtype=np.bool_)
    share = random.uniform(*_GAP_SHARE)
    for first in np.flatnonzero(random.random(bars) < share).tolist():
        is_gone[first : first + int(random.integers(1, 5))] = True
    is_gone[[0, -1]] = False
    return is_gone
