"""A simulated market over calendar time: one-minute bars with seasons, outages and known regimes, from any start.

See `sources.simulated` for which bars are closed, `regimes` for the strength of each regime.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, Float64, concatenate
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.resample import resample
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.simulation.regimes import (
    SIGN,
    STRENGTHS,
    VOLATILE,
    Labels,
    RegimeStrength,
    balancing_probability,
    dynamics,
    log_extremes,
    next_label,
    student_scale,
)

EPOCH_MS: Final = 1_483_315_200_000
"""Every simulated market is listed at 2017-01-02T00:00:00Z; before that it has no candles."""
CHUNK_MS: Final = 28 * 24 * HOUR_MS
_CHUNK_HOURS: Final = CHUNK_MS // HOUR_MS
_CHUNK_MINUTES: Final = CHUNK_MS // MINUTE_MS
_HOUR_MINUTES: Final = HOUR_MS // MINUTE_MS
_KEPT_CHUNKS: Final = 32

_SPELLS_PER_CHUNK: Final = (4, 6)
_SPELL_EVENNESS: Final = 6.0
_HOME_PRICE: Final = (300.0, 30_000.0)
_SIGMA: Final = (0.004, 0.0065)
_VOL_PERSISTENCE: Final = 0.97
_VOL_SIGMA: Final = 0.25
_SEASON: Final = 0.3
_BUSIEST_HOUR: Final = 15.0
_VOLUME_NOISE: Final = 0.6
_VOLUME_DECIMALS: Final = 5
_IDLE_SHARE: Final = 0.0005
_OUTAGES_PER_CHUNK: Final = 0.8
_LONG_OUTAGE_SHARE: Final = 0.12
_SHORT_OUTAGE_MINUTES: Final = (1, 25)
_LONG_OUTAGE_MINUTES: Final = (60, 241)


@dataclass(frozen=True, slots=True)
class _Schedule:
    """The regimes of one chunk and the price level at which it begins; a chunk knows nothing but its schedule."""

    hour_labels: Labels
    is_spell_start: NDArray[np.bool_]
    start_spells: float
    end_spells: float
    """Net trend before and after the chunk: up hours less down hours, in mean spells."""


class MarketSimulation:
    """One symbol's simulated minutes, a pure function of (seed, symbol, time).

    Parameters
    ----------
    seed : int
        Not negative.
    symbol : str
        Any symbol; each has its own price, volatility and history.
    price_scale : int
        Ticks per unit of quote currency.

    Notes
    -----
    Time is cut into chunks of 28 days. A chunk's regimes follow from the chunk before it (cheap: a few spells); its
    minutes follow from its own random numbers and a bridge to the price at which the next chunk begins, so any chunk
    can be made without the minutes of another. The bridge's correction is spread over the hours outside RANGE.
    Labels follow the "medium" strengths on the scale of hours.
    """

    def __init__(self, seed: int, symbol: str, price_scale: int) -> None:
        self._market = Market(symbol, "1m")
        self._price_scale = price_scale
        self._key = [seed, int.from_bytes(hashlib.sha256(self._market.symbol.encode()).digest()[:8])]
        random = self._random(0)
        self._log_home = random.uniform(*np.log(_HOME_PRICE))
        self._sigma = random.uniform(*_SIGMA)
        self._base_volume = 20_000.0 / np.exp(self._log_home)
        self._schedules: list[_Schedule] = []
        self._lock = Lock()
        self._chunk = lru_cache(_KEPT_CHUNKS)(self._build_chunk)

    def bars(self, timeframe: str, start_ms: int, end_ms: int) -> Candles:
        """Return the candles whose open time lies in [start_ms, end_ms); none before `EPOCH_MS`.

        A bar longer than a minute exists if any of its minutes does.
        """
        chunks = [self._chunk(index) for index in _chunks(start_ms, end_ms)]
        if timeframe != self._market.timeframe:
            chunks = [resample(chunk, timeframe) for chunk in chunks]
        none = Candles.empty(self._market.on(timeframe), self._price_scale)
        return concatenate([none, *(chunk.between(start_ms, end_ms) for chunk in chunks)])

    def labels(self, start_ms: int, end_ms: int) -> Labels:
        """Return the true regime of each hour that starts in [start_ms, end_ms), int8 codes into `LABELS`.

        Hours before `EPOCH_MS` have no regime and are left out.
        """
        hours = np.arange(max(-(-start_ms // HOUR_MS) * HOUR_MS, EPOCH_MS), end_ms, HOUR_MS, dtype=np.int64) - EPOCH_MS
        schedules = {index: self._schedule(index).hour_labels for index in _chunks(start_ms, end_ms)}
        labels = [schedules[hour // CHUNK_MS][hour % CHUNK_MS // HOUR_MS] for hour in hours.tolist()]
        return np.array(labels, dtype=np.int8)

    def _random(self, *path: int) -> np.random.Generator:
        return np.random.default_rng([*self._key, *path])

    def _schedule(self, index: int) -> _Schedule:
        """Schedule of a chunk; those before it are made once."""
        with self._lock:
            while len(self._schedules) <= index:
                previous = self._schedules[-1] if self._schedules else None
                self._schedules.append(_next_schedule(self._random(1, len(self._schedules)), previous))
            return self._schedules[index]

    def _build_chunk(self, index: int) -> Candles:
        """Minutes of a chunk, outages removed."""
        random = self._random(2, index)
        schedule = self._schedule(index)
        times: Int64 = EPOCH_MS + index * CHUNK_MS + np.arange(_CHUNK_MINUTES, dtype=np.int64) * MINUTE_MS
        strength = _per_minute(STRENGTHS["medium"])
        sigma = self._sigma / np.sqrt(_HOUR_MINUTES)
        labels = np.repeat(schedule.hour_labels, _HOUR_MINUTES)
        force = dynamics(labels, strength, sigma)
        is_idle = random.random(_CHUNK_MINUTES) < _IDLE_SHARE
        relative = force["multiplier"] * _activity(random, times) * ~is_idle
        path = self._path(random, schedule, force, sigma * relative)
        high, low = log_extremes(path, sigma * relative, 1.0 - random.random((2, _CHUNK_MINUTES)))
        prices: list[Any] = [np.exp(log) for log in (path[:-1], high, low, path[1:])]
        volume = self._volume(random, relative, np.abs(np.diff(path)) / sigma)
        candles = Candles.from_prices(self._market, self._price_scale, times, prices, volume)
        return candles[~_outages(random)]

    def _path(
        self, random: np.random.Generator, schedule: _Schedule, force: dict[str, Float64], sigma: Float64
    ) -> Float64:
        """Log price at the minutes' ends, bridged to the level at which the next chunk begins; flat where idle."""
        from regime_pipeline.domain.simulation.kernels import log_path

        is_start = np.zeros(_CHUNK_MINUTES, dtype=np.bool_)
        is_start[::_HOUR_MINUTES] = schedule.is_spell_start
        is_moving = sigma > 0
        shocks = sigma * random.standard_normal(_CHUNK_MINUTES)
        raw = log_path(
            shocks, force["drift"] * is_moving, force["reversion"] * is_moving, is_start, np.zeros(len(shocks))
        )
        level = self._log_home + self._spell_move() * np.array([schedule.start_spells, schedule.end_spells])
        weight = np.where(force["reversion"] > 0, 0.0, sigma * sigma)
        bridge = np.concatenate(([0.0], np.cumsum(weight) / weight.sum()))
        return np.asarray(level[0] + raw + (level[1] - level[0] - raw[-1]) * bridge)

    def _spell_move(self) -> float:
        """Log return of a mean trend spell."""
        medium = STRENGTHS["medium"]
        return float(medium.trend_drift_sigmas * self._sigma * medium.spell_bars)

    def _volume(self, random: np.random.Generator, relative: Float64, move: Float64) -> Float64:
        """Base volume: proportional to volatility, more in a minute that moved, zero in an idle one."""
        noise = np.exp(_VOLUME_NOISE * random.standard_normal(len(relative)))
        volume = self._base_volume * relative * (1.0 + 0.5 * move) * noise
        return np.asarray(np.round(volume, _VOLUME_DECIMALS))


def _chunks(start_ms: int, end_ms: int) -> range:
    """Numbers of the chunks that touch [start_ms, end_ms)."""
    first, last = max(start_ms, EPOCH_MS) - EPOCH_MS, end_ms - EPOCH_MS
    return range(first // CHUNK_MS, -(-last // CHUNK_MS)) if first < last else range(0)


def _next_schedule(random: np.random.Generator, previous: _Schedule | None) -> _Schedule:
    """Cut a chunk into spells of about 150 hours, no class twice in a row."""
    spells = int(random.integers(*_SPELLS_PER_CHUNK))
    shares = np.cumsum(random.dirichlet(np.full(spells, _SPELL_EVENNESS)))
    edges = np.concatenate(([0], np.rint(shares * _CHUNK_HOURS).astype(np.int64)))
    label = int(previous.hour_labels[-1]) if previous else VOLATILE
    start = net = previous.end_spells if previous else 0.0
    labels, is_start = np.empty(_CHUNK_HOURS, dtype=np.int8), np.zeros(_CHUNK_HOURS, dtype=np.bool_)
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        label = next_label(random, label, balancing_probability(net))
        labels[first:last], is_start[first] = label, True
        net += SIGN[label] * (last - first) / STRENGTHS["medium"].spell_bars
    return _Schedule(labels, is_start, start, net)


def _per_minute(hourly: RegimeStrength) -> RegimeStrength:
    """The strengths of an hour, per minute."""
    return RegimeStrength(
        hourly.half_life_bars * _HOUR_MINUTES,
        hourly.trend_drift_sigmas / np.sqrt(_HOUR_MINUTES),
        hourly.volatile_multiplier,
        hourly.spell_bars * _HOUR_MINUTES,
    )


def _activity(random: np.random.Generator, times: Int64) -> Float64:
    """Volatility of each minute over the calm market's: season of the day, stochastic volatility, hourly tails."""
    from regime_pipeline.domain.simulation.kernels import autoregression

    hour_of_day = times / HOUR_MS % 24.0
    season = 1.0 + _SEASON * np.cos(2.0 * np.pi * (hour_of_day - _BUSIEST_HOUR) / 24.0)
    log_vol = _VOL_SIGMA * autoregression(random.standard_normal(_CHUNK_HOURS), _VOL_PERSISTENCE) - _VOL_SIGMA**2
    hourly = np.exp(log_vol) * student_scale(random, _CHUNK_HOURS)
    return np.asarray(season * np.repeat(hourly, _HOUR_MINUTES))


def _outages(random: np.random.Generator) -> NDArray[np.bool_]:
    """Minutes that the exchange never published."""
    is_out = np.zeros(_CHUNK_MINUTES, dtype=np.bool_)
    for _ in range(int(random.poisson(_OUTAGES_PER_CHUNK))):
        bounds = _LONG_OUTAGE_MINUTES if random.random() < _LONG_OUTAGE_SHARE else _SHORT_OUTAGE_MINUTES
        first = int(random.integers(_CHUNK_MINUTES))
        is_out[first : first + int(random.integers(*bounds))] = True
    return is_out
