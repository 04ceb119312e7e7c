"""Named conditions: a value, a threshold, whether the one satisfies the other, and the sentence that says so.

See `quick_stops`, `probation` and `restart_gates.conditions` for when each is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import ge, gt, le, lt
from typing import Any, Final

Comparison = Callable[[float, float], bool]
_WORDS: Final[dict[Comparison, str]] = {ge: "at least", gt: "above", le: "at most", lt: "below"}
_CONDITIONS: Final[dict[str, tuple[str, Comparison]]] = {
    "BEYOND_EDGE": ("close beyond an edge, in ATR", ge),
    "CLOSES_OUTSIDE": ("closes in a row outside", ge),
    "VOL_CHANGE": ("volatility change score", gt),
    "TREND": ("trend score", ge),
    "ONE_SIDED": ("bars in a row with one-sided inventory", ge),
    "DRAWDOWN": ("drawdown in quote currency", gt),
    "STALE_DATA": ("age of the data in bars", gt),
    "ADX_DECAY": ("ADX", lt),
    "EFFICIENCY": ("efficiency ratio over 24 bars", lt),
    "NO_NEW_EXTREME": ("bars without a new 24-bar extreme", ge),
    "MEAN_REVERSION": ("mean reversion score", ge),
    "MEDIAN_CROSSINGS": ("crossings of the median over 48 bars", ge),
    "HALF_LIFE_MIN": ("half-life in bars", ge),
    "HALF_LIFE_MAX": ("half-life in bars", le),
    "VOLATILITY": ("realised volatility, short over long", lt),
    "FRESH_BARS": ("unbroken bars since the stop", ge),
    "FRESH_RANGE": ("range that the methods agree on since the stop (1 = yes)", ge),
    "WIDTH_MIN": ("width of that range in ATR", ge),
    "WIDTH_MAX": ("width of that range in ATR", le),
    "CAPACITY": ("levels that it carries net of fees", ge),
    "RANGE_SINCE_STOP": ("probability of a range, counted from the stop", ge),
    "POST_STOP_BARS": ("unbroken bars since the stop", ge),
    "CONSENSUS": ("range that the methods agree on since the stop (1 = yes)", ge),
    "SPACING_MAX": ("spacing in ticks", le),
    "SPACING_MIN": ("spacing in ticks", ge),
    "WIDTH": ("levels that the range holds", ge),
    "CAPITAL": ("levels that the capital funds", ge),
    "BARS": ("bars on probation", ge),
    "RANGE_OK_SHARE": ("share of the newest bars with RANGE_OK", ge),
    "ROUND_TRIPS": ("completed round trips", ge),
    "EXCURSION": ("farthest of the newest closes beyond an edge, in spacings", lt),
    "NET": ("realised gain after fees in quote currency", ge),
}
"""What each condition compares, and how; quick stops, restart gates, the fresh grid, its graduation."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition and whether it holds.

    Parameters
    ----------
    name : str
        One of `_CONDITIONS`.
    value, threshold : float
        What was compared; a NaN value holds nowhere.
    is_met : bool
        The condition holds.
    detail : str
        Why this threshold, where there are several; empty otherwise.
    """

    name: str
    value: float
    threshold: float
    is_met: bool
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The comparison in words with both numbers."""
        what, holds = _CONDITIONS[self.name]
        known = "unknown" if self.value != self.value else f"{self.value:.6g}"
        detail = f", {self.detail}" if self.detail else ""
        return f"{what}{detail}: {known} ({_WORDS[holds]} {self.threshold:.6g})."

    def stored(self) -> dict[str, Any]:
        """Return the fields as tables hold them: without the sentence, which `worded` makes."""
        return {name: value for name, value in asdict(self).items() if name != "detail" or value}


def check(name: str, value: float, threshold: float, detail: str = "") -> Condition:
    """Compare a value as the named condition does."""
    holds = _CONDITIONS[name][1]
    return Condition(name, float(value), float(threshold), bool(holds(value, threshold)), detail)


def condition_of(stored: Mapping[str, Any]) -> Condition:
    """Return a condition from its stored fields; a value that was not known is null there and NaN here."""
    value, threshold = (float("nan") if stored[name] is None else stored[name] for name in ("value", "threshold"))
    return Condition(stored["name"], value, threshold, stored["is_met"], stored.get("detail", ""))


def worded(stored: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return stored conditions, each with its sentence."""
    return [{**made, "sentence": condition_of(made).sentence} for made in stored]
