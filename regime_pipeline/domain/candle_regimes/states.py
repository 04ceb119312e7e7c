"""Names, codes and colours of the 3D candle regime; codes are stored and therefore append-only.

See `classifier` for how a candle gets its state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import UsageError

TRENDS: Final = ("neutral", "uptrend", "downtrend")
VOLATILITIES: Final = ("low", "high")
MOMENTA: Final = ("weak", "bullish", "bearish")
SIMPLIFIED: Final = ("UNDEFINED", "TREND_UP", "TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL")
COLORS: Final = {
    "TREND_UP": "#22c55e",
    "TREND_DOWN": "#ef4444",
    "RANGE": "#3b82f6",
    "CHOPPY": "#f59e0b",
    "NEUTRAL": "#6b7280",
    "UNDEFINED": "#d1d5db",
}
UNDEFINED: Final = 0


@dataclass(frozen=True, slots=True)
class RegimeState:
    """One of the 19 states a candle can be in; `state` is the stored code."""

    state: int
    trend_state: str
    volatility_state: str
    momentum_state: str
    full_regime: str
    simplified_regime: str


def pack_state(trend: NDArray[np.int8], volatility: NDArray[np.int8], momentum: NDArray[np.int8]) -> NDArray[np.int16]:
    """Return state codes 1..18 from indices into `TRENDS`, `VOLATILITIES` and `MOMENTA`, any shape."""
    return (1 + trend.astype(np.int16) * 6 + volatility * 3 + momentum).astype(np.int16)


def _simplify(trend: str, volatility: str, momentum: str) -> str:
    """First matching rule of regimes.md section 2."""
    rules = (
        ("TREND_UP", trend == "uptrend" and momentum == "bullish"),
        ("TREND_DOWN", trend == "downtrend" and momentum == "bearish"),
        ("CHOPPY", volatility == "high" and momentum == "weak" and trend == "neutral"),
        ("RANGE", trend == "neutral" and volatility == "low"),
    )
    return next((name for name, holds in rules if holds), "NEUTRAL")


def _states() -> tuple[RegimeState, ...]:
    undefined = RegimeState(UNDEFINED, "undefined", "undefined", "undefined", "UNDEFINED", "UNDEFINED")
    states = [undefined]
    for trend in TRENDS:
        for volatility in VOLATILITIES:
            for momentum in MOMENTA:
                full = f"{trend}_{volatility}vol_{momentum}".upper()
                simplified = _simplify(trend, volatility, momentum)
                states.append(RegimeState(len(states), trend, volatility, momentum, full, simplified))
    return tuple(states)


REGIME_STATES: Final = _states()
"""Every state, indexed by its code."""

SIMPLIFIED_OF_STATE: Final = np.array([SIMPLIFIED.index(s.simplified_regime) for s in REGIME_STATES], dtype=np.int8)
"""Index into `SIMPLIFIED` by state code, int8, shape (19,)."""


def parse_full_regime(text: str) -> RegimeState:
    """Return the state named `UPTREND_LOWVOL_BULLISH`; the old form `..._BULLISHMOM` is accepted.

    Raises
    ------
    UsageError
        No state has that name.
    """
    name = text.strip().upper().removesuffix("MOM")
    found = next((s for s in REGIME_STATES if s.full_regime == name), None)
    if found is None:
        raise UsageError(f"'{text}' is not a regime.", "Write TREND_VOLATILITY_MOMENTUM, e.g. UPTREND_LOWVOL_BULLISH.")
    return found
