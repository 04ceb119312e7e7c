"""How a public archive of candles is laid out: one zip per market and UTC month or day, each with its CHECKSUM.

Fetching the files and reading them do not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from regime_pipeline.domain.market import Market
from regime_pipeline.domain.window import to_ms

DAY_MS: Final = 86_400_000
CHECKSUM: Final = ".CHECKSUM"


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A UTC day or month for which the archive has one file.

    Parameters
    ----------
    start_ms, end_ms : int
        Half-open span of open time, epoch milliseconds UTC.
    is_month : bool
        Whether it is a month.
    """

    start_ms: int
    end_ms: int
    is_month: bool

    def path(self, market: Market) -> str:
        """Return the path of the zip below the archive's base."""
        symbol, timeframe = market.symbol.replace("-", ""), market.timeframe
        day = datetime.fromtimestamp(self.start_ms / 1000, tz=UTC)
        folder, label = ("monthly", f"{day:%Y-%m}") if self.is_month else ("daily", f"{day:%Y-%m-%d}")
        return f"data/spot/{folder}/klines/{symbol}/{timeframe}/{symbol}-{timeframe}-{label}.zip"

    @property
    def days(self) -> tuple[Period, ...]:
        """The days in the period, oldest first."""
        return days_between(self.start_ms, self.end_ms)


def days_between(start_ms: int, end_ms: int) -> tuple[Period, ...]:
    """Return the UTC days that the span [start_ms, end_ms) touches, oldest first."""
    return tuple(Period(at, at + DAY_MS, False) for at in range(start_ms // DAY_MS * DAY_MS, end_ms, DAY_MS))


def month_of(moment_ms: int) -> Period:
    """Return the UTC month that holds a moment in epoch milliseconds."""
    first = datetime.fromtimestamp(moment_ms / 1000, tz=UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Period(to_ms(first), to_ms((first + timedelta(days=31)).replace(day=1)), True)
