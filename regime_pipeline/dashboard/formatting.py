"""Numbers, times and names as the pages print them.

See `site.pages` and `report.page` for where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isnan, log10
from typing import Any, Final

from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import VERDICTS

NOTHING: Final = "\N{EN DASH}"
TO: Final = " \N{EN DASH} "
"""Between the edges of a range."""
_LETTERS: Final = {"RANGE_OK": "●", "RANGE_WEAK": "◐", "TREND": "▲", "TRANSITION": "◆", "INSUFFICIENT_DATA": "○"}


def moment(ms: int) -> str:
    """Print a time as `2026-09-01 14:00`; UTC is said elsewhere."""
    return to_iso(ms)[:16].replace("T", " ")


def number(value: float, decimals: int = 2) -> str:
    """Print a number with separators of thousands; a dash for NaN."""
    return NOTHING if isnan(value) else f"{value:,.{decimals}f}"


def signed(value: float) -> str:
    """Print a number with its sign and one decimal; never `-0.0`."""
    text = f"{value:+,.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\N{MINUS SIGN}")


def change(share: float) -> str:
    """Print a relative change as `+1.2 %`; a dash for NaN."""
    return NOTHING if isnan(share) else f"{signed(share * 100)} %"


def sortable(value: float | None) -> str:
    """Print a number for scripts that sort by it; nothing for none and NaN."""
    return "" if value is None or isnan(value) else f"{value:.4g}"


def decimals_of(price_scale: int) -> int:
    """Return how many decimals a price of a market has."""
    return max(ceil(log10(price_scale)), 0)


def percent(share: float | None, decimals: int = 0) -> str:
    """Print a share, 0..1, in percent; a dash for none, and never 0 % or 100 % for a share that is not exactly that."""
    if share is None or isnan(share):
        return NOTHING
    least = 10.0 ** -(decimals + 2)
    if 0 < share < least:
        return f"< {least:.{decimals}%}".replace("%", " %")
    if 1 - least < share < 1:
        return f"> {1 - least:.{decimals}%}".replace("%", " %")
    return f"{share * 100:.{decimals}f} %"


def whole_percents(weights: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the weight of each verdict in whole percent, largest first; the last of `VERDICTS` has the rest of 100.

    So four numbers that are shown together add up, and the payload need not hold the last one (`static/readout.js`
    makes it). Empty without weights.
    """
    rounded = {each["verdict"]: round(each["weight"] * 100) for each in weights}
    if not rounded:
        return {}
    kept = {verdict: rounded[verdict] for verdict in VERDICTS[1:-1]}
    shown = kept | {VERDICTS[-1]: max(0, 100 - sum(kept.values()))}
    return dict(sorted(shown.items(), key=lambda pair: -pair[1]))


def duration(hours: float) -> str:
    """Print a time span exactly: `3 d 4 h`, `5 h`, `1 h 30 min`."""
    minutes = round(hours * 60)
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 h"


def action(code: str) -> str:
    """Print what a grid should do: `STOP_PLACING` as `Stop placing`."""
    return "Nothing to do" if code == "NONE" else name(code)


def name(code: str) -> str:
    """Print the name of a verdict or state: `RANGE_OK` as `Range ok`."""
    return code.replace("_", " ").capitalize()


def mark(verdict: str) -> str:
    """Return the sign that stands for a verdict beside its colour."""
    return _LETTERS[verdict]
