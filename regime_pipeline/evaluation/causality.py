"""Checks that every output is a function of the past: recomputes candles in five other ways, compares the bits.

See `domain` for how regimes and verdicts are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.classifier import classify, lookback_bars
from regime_pipeline.domain.candle_regimes.streaming import CandleStream
from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.known_at import bar_known_at, hour_known_at
from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.sorted_times import distinct, is_in
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.domain.verdicts.engine import analyze, observed_hours, reach_hours
from regime_pipeline.policy import Policy

Engine = Callable[[Candles], Rows]
"""Candles to rows; the column `known_at` is the time from which on a row may exist, epoch milliseconds UTC."""
STREAMED_BARS: Final = 300
SINGLE_HOURS: Final = 12
_SHOWN: Final = 3
_ALWAYS: Final = -(2**62)
Parts = Sequence[tuple[Rows, Rows, int]]
"""Rows of the whole, rows found in another way, and the moment from which on these must be the same."""


@dataclass(frozen=True, slots=True)
class CausalityCheck:
    """One way of recomputing, and what came out.

    Parameters
    ----------
    output : str
        `candle regimes` or `hourly verdicts`.
    name : str
        The other way.
    rows, columns : int
        How much was compared; 0 rows where the candles are too few for this way.
    differing : int
        Rows with a difference in any column.
    examples : tuple of str
        The first differences in words.
    """

    output: str
    name: str
    rows: int
    columns: int
    differing: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CausalityReport:
    """Every check of one market's candles."""

    market: str
    candles: int
    policy_hash: str
    checks: tuple[CausalityCheck, ...]

    @property
    def is_causal(self) -> bool:
        """No row differed."""
        return not any(check.differing for check in self.checks)


def verify_causality(candles: Candles, policy: Policy, nulls: NullTable, cuts: int = 5) -> CausalityReport:
    """Recompute regimes and verdicts from prefixes, other futures, later starts, single hours and a stream.

    Parameters
    ----------
    candles : Candles
        Closed candles of one market; gaps are allowed.
    policy : Policy
        Thresholds.
    nulls : NullTable
        Made for the policy.
    cuts : int
        Places at which the candles are cut, evenly spread.

    Raises
    ------
    UsageError
        There are fewer candles than cuts, or the null table was made for another policy.
    """
    if len(candles) <= cuts:
        raise UsageError(f"{candles.market}: {len(candles)} candles are too few to verify.", "Give at least hundreds.")
    regimes, verdicts = partial(regime_rows, policy=policy), partial(verdict_rows, policy=policy, nulls=nulls)
    rows = np.linspace(0, len(candles), cuts + 2)[1:-1].astype(np.int64)
    bars, hours = lookback_bars(policy.candle_regime), reach_hours(candles.market, policy)
    checks = (
        *engine_checks("candle regimes", regimes, candles, rows, bars * candles.market.step_ms),
        _compare("candle regimes", "one candle at a time", _streamed(candles, policy)),
        *engine_checks("hourly verdicts", verdicts, candles, rows, hours * HOUR_MS),
        _compare("hourly verdicts", "single hours", _single(candles, policy, nulls, verdicts(candles))),
    )
    return CausalityReport(str(candles.market), len(candles), policy.hash, checks)


def regime_rows(candles: Candles, policy: Policy) -> Rows:
    """Return the 3D regime of every candle as rows."""
    found = classify(candles, policy.candle_regime)
    return {
        "known_at": bar_known_at(candles.market, candles.open_time_ms),
        "state": found.state,
        "confidence": found.confidence,
    }


def verdict_rows(candles: Candles, policy: Policy, nulls: NullTable) -> Rows:
    """Return every column of features, scores and verdicts of every observation as rows."""
    return _hour_rows(candles, observed_hours(candles), policy, nulls)


def _hour_rows(candles: Candles, hours: NDArray[np.int64], policy: Policy, nulls: NullTable) -> Rows:
    parts = zip(("features", "scores", "verdicts"), analyze(candles, hours, policy, nulls), strict=True)
    columns = {f"{part}.{name}": column for part, rows in parts for name, column in rows.items()}
    return {"known_at": hour_known_at(hours), **columns}


def engine_checks(
    output: str, engine: Engine, candles: Candles, cuts: Sequence[int] | NDArray[np.int64], reach_ms: int
) -> Iterator[CausalityCheck]:
    """Yield the checks that hold for any engine whose rows depend on `reach_ms` before them and on nothing after."""
    whole = engine(candles)
    times = candles.open_time_ms
    prefixes = [engine(candles[:cut]) for cut in cuts]
    yield _compare(output, "the future cut off", [(whole, part, _ALWAYS) for part in prefixes])
    others = [_until(engine(_other_future(candles, cut)), int(times[cut])) for cut in cuts]
    yield _compare(output, "another future", [(whole, part, _ALWAYS) for part in others])
    starts = [(whole, engine(candles[cut:]), int(times[cut]) + reach_ms) for cut in cuts]
    yield _compare(output, "a later start", starts)


def _other_future(candles: Candles, cut: int) -> Candles:
    """The same candles up to a row, and twice their prices from there on."""
    later = candles[cut:]
    doubled = {name: getattr(later, name) * 2 for name in ("open", "high", "low", "close")}
    return concatenate([candles[:cut], replace(later, **doubled, volume=later.volume + 1.0)])


def _until(rows: Rows, moment_ms: int) -> Rows:
    """The rows known by a moment."""
    return {name: column[rows["known_at"] <= moment_ms] for name, column in rows.items()}


def _streamed(candles: Candles, policy: Policy) -> Parts:
    """The last candles fed one at a time."""
    whole, stream = regime_rows(candles, policy), CandleStream(policy.candle_regime)
    first = max(0, len(candles) - STREAMED_BARS)
    stream.update(candles[:first])
    found = [stream.update(candles[row : row + 1]) for row in range(first, len(candles))]
    rows: Rows = {
        "known_at": candles.close_time_ms[first:],
        "state": np.concatenate([part.state for part in found]),
        "confidence": np.concatenate([part.confidence for part in found]),
    }
    return [(whole, rows, _ALWAYS)]


def _single(candles: Candles, policy: Policy, nulls: NullTable, whole: Rows) -> Parts:
    """Some hours computed alone, each from the history it depends on and no more."""
    reach_ms = reach_hours(candles.market, policy) * HOUR_MS
    ends = whole["known_at"]
    chosen = distinct(np.linspace(0, max(len(ends) - 1, 0), SINGLE_HOURS).astype(np.int64))[: len(ends)]
    parts = []
    for end in ends[chosen].tolist():
        bars = candles.between(end - HOUR_MS - reach_ms, end).closed_by(end)
        hour = np.array([end - HOUR_MS], dtype=np.int64)
        parts.append((whole, _hour_rows(bars, hour, policy, nulls), _ALWAYS))
    return parts


def _compare(output: str, name: str, parts: Parts) -> CausalityCheck:
    """Compare rows of the whole with rows found in another way, from a moment on, bit for bit."""
    rows, differing, columns, examples = 0, 0, 0, []
    for whole, found, from_ms in parts:
        known = found["known_at"]
        shared = known[(known >= from_ms) & is_in(known, whole["known_at"])]
        missing = int((known >= from_ms).sum()) - len(shared)
        columns, rows = len(found) - 1, rows + len(shared) + missing
        unequal = _unequal(_rows_of(whole, shared), _rows_of(found, shared))
        differing += missing + int(np.any(list(unequal.values()), axis=0).sum())
        examples += [f"{to_iso(int(shared[np.argmax(u)]))} {column}" for column, u in unequal.items() if u.any()]
    return CausalityCheck(output, name, rows, columns, differing, tuple(examples[:_SHOWN]))


def _rows_of(rows: Rows, moments: NDArray[np.int64]) -> Rows:
    """The rows of some moments, all of which are there."""
    at = np.searchsorted(rows["known_at"], moments)
    return {name: column[at] for name, column in rows.items() if name != "known_at"}


def _unequal(left: Mapping[str, NDArray[Any]], right: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.bool_]]:
    """Which rows differ, by column; floats by their bits."""
    return {name: _bits(column) != _bits(right[name]) for name, column in left.items()}


def _bits(column: NDArray[Any]) -> NDArray[Any]:
    return column.view(np.int64) if column.dtype == np.float64 else column
