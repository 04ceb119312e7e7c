"""Signs that times without an offset are local: an hour that is absent, or doubled, where clocks are changed.

See `times` for what a time is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Int64, to_iso

_SUNDAY: Final = 6
_SPRING_HOURS: Final = (1, 2, 3)
_MARCH, _OCTOBER, _NOVEMBER = 3, 10, 11


def local_time_signs(times: Int64, step_ms: int) -> tuple[str, ...]:
    """Return a warning where the times look like local time.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        Epoch milliseconds, oldest first, read as if they were UTC.
    step_ms : int
        Length of a bar in milliseconds; above an hour nothing can be seen.

    Returns
    -------
    tuple of str
        At most one sentence.
    """
    if step_ms > HOUR_MS or len(times) < 2:
        return ()
    steps = np.diff(times)
    absent = [t + step_ms for t in times[:-1][steps == HOUR_MS + step_ms].tolist() if _is_spring(t + step_ms)]
    doubled = [t for t in times[1:][steps <= 0].tolist() if _is_autumn(t)]
    if not absent and not doubled:
        return ()
    parts = [f"the hour from {to_iso(t)} is absent" for t in absent[:1]]
    parts += [f"the hour of {to_iso(t)} is doubled" for t in doubled[:1]]
    what = f"{' and '.join(parts)}, where clocks change to or from summer time"
    return (f"Warning: {what}: this looks like local time, not UTC; convert the times to UTC first.",)


def _is_spring(moment_ms: int) -> bool:
    """Return whether clocks in Europe (last Sunday of March) or America (second one) are moved on at this hour."""
    moment = datetime.fromtimestamp(moment_ms / 1000, tz=UTC)
    is_last = (moment + timedelta(days=7)).month != _MARCH
    is_second = 8 <= moment.day <= 14
    return (
        moment.weekday() == _SUNDAY
        and moment.month == _MARCH
        and moment.hour in _SPRING_HOURS
        and (is_last or is_second)
    )


def _is_autumn(moment_ms: int) -> bool:
    """Return whether clocks in Europe (last Sunday of October) or America (first one of November) are set back."""
    moment = datetime.fromtimestamp(moment_ms / 1000, tz=UTC)
    is_europe = moment.month == _OCTOBER and (moment + timedelta(days=7)).month != _OCTOBER
    is_america = moment.month == _NOVEMBER and moment.day <= 7
    return moment.weekday() == _SUNDAY and moment.hour in _SPRING_HOURS and (is_europe or is_america)
