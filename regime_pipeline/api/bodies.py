"""Bodies of answers: rows to bytes quickly, kept while the version they were made from is still the newest.

Which version is the newest is asked of the database at every request, so a kept body is never stale.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from regime_pipeline.domain.regime_state import COLORS, REGIME_STATES
from regime_pipeline.services.regimes import RegimeSeries

CACHE_BYTES: Final = 64 << 20
_FRAGMENTS: Final = tuple(
    (
        f',"regime":"{s.simplified_regime}","full_regime":"{s.full_regime}","trend_state":"{s.trend_state}",'
        f'"volatility_state":"{s.volatility_state}","momentum_state":"{s.momentum_state}",'
        f'"color":"{COLORS[s.simplified_regime]}","confidence":'
    )
    for s in REGIME_STATES
)


def regime_rows(series: RegimeSeries) -> bytes:
    """Return a series as the flat JSON list of the API; confidences keep float32's shortest digits."""
    regimes = series.regimes
    seconds, confidences = _texts(regimes.open_time_ms // 1000), _texts(regimes.confidence.astype(np.float32))
    states = regimes.state.tolist()
    rows = [
        f'{{"time":{second}{_FRAGMENTS[state]}{confidence}}}'
        for second, state, confidence in zip(seconds, states, confidences, strict=True)
    ]
    return ("[" + ",".join(rows) + "]").encode()


def _texts(numbers: NDArray[Any]) -> list[str]:
    """Numbers as JSON texts, all at once."""
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode().split(",") if len(numbers) else []


class BodyCache:
    """The newest bodies by question, each with its version.

    Parameters
    ----------
    max_bytes : int
        What all bodies together may hold; the least recently used go first.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._held: OrderedDict[str, tuple[str, bytes, str]] = OrderedDict()
        self._bytes = 0

    def get(self, question: str) -> tuple[str, bytes, str] | None:
        """Return version, body and source of a question's newest answer."""
        with self._lock:
            if question in self._held:
                self._held.move_to_end(question)
            return self._held.get(question)

    def put(self, question: str, version: str, body: bytes, source: str) -> None:
        """Keep an answer."""
        with self._lock:
            old = self._held.pop(question, None)
            self._bytes += len(body) - (len(old[1]) if old else 0)
            self._held[question] = (version, body, source)
            while self._bytes > self._max_bytes and self._held:
                _, (_, dropped, _) = self._held.popitem(last=False)
                self._bytes -= len(dropped)
