"""The 3D regime one candle at a time, for live engines: the same labels, bit for bit, as the batch.

See `classifier` for the rules.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.candle_regimes.classifier import CandleRegimes, classify, lookback_bars
from regime_pipeline.domain.candle_regimes.label_windows import LabelWindows, label_windows
from regime_pipeline.domain.errors import BadCandlesError
from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.policy import CandleRegimePolicy


class CandleStream:
    """Classifies candles as they close.

    Parameters
    ----------
    policy : CandleRegimePolicy
        Thresholds.

    Notes
    -----
    A regime is a pure function of at most `lookback_bars(policy)` earlier bars, so the stream keeps these and
    classifies them again: time and memory per candle are bounded however long it runs, and there is no state that a
    restart could lose or a correction could poison. After a restart, feed the last `lookback_bars(policy)` candles.
    """

    def __init__(self, policy: CandleRegimePolicy) -> None:
        self._policy = policy
        self._kept = lookback_bars(policy)
        self._tail: Candles | None = None
        self._windows = LabelWindows(np.empty(0, np.int8), np.empty(0, np.int32))

    @property
    def windows(self) -> LabelWindows:
        """The windows of the candles that the last update took."""
        return self._windows

    @property
    def known_bars(self) -> int:
        """How many candles the stream looks back on; at most `lookback_bars` of its policy."""
        return 0 if self._tail is None else len(self._tail)

    def update(self, closed: Candles) -> CandleRegimes:
        """Take candles that closed since the last call; return their regimes, one per candle, in order.

        Raises
        ------
        BadCandlesError
            A candle is not after the ones before it, or of another market or price scale; nothing is taken then.
        """
        known = self._tail
        if known is not None:
            _refuse_others(known, closed)
            closed_after = concatenate([known, closed])
        else:
            closed_after = closed
        found = classify(closed_after, self._policy)
        self._tail = closed_after[max(0, len(closed_after) - self._kept) :]
        new = slice(len(closed_after) - len(closed), None)
        windows = label_windows(closed_after, self._policy)
        self._windows = LabelWindows(windows.status[new], windows.absent[new])
        return CandleRegimes(found.open_time_ms[new], found.state[new], found.confidence[new])


def _refuse_others(known: Candles, closed: Candles) -> None:
    """Refuse candles that do not continue the known ones."""
    if (closed.market, closed.price_scale) != (known.market, known.price_scale):
        raise BadCandlesError(f"A stream of {known.market} cannot take candles of {closed.market} or another scale.")
    if len(known) and len(closed) and closed.open_time_ms[0] <= known.open_time_ms[-1]:
        first, last = to_iso(int(closed.open_time_ms[0])), to_iso(int(known.open_time_ms[-1]))
        raise BadCandlesError(
            f"{known.market}: the candle {first} is not after {last}, the newest one the stream knows.",
            "Feed each closed candle once, in order; after a correction start a new stream.",
        )
