"""The one partition space, hour x market, and `MarketHours`, the only reader of partition keys.

No other module parses or prints a partition key, or knows whether partitions are hours or days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import dagster as dg
from dagster._core.instance import DynamicPartitionsStore

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.universe import Universe

HOUR_DIMENSION: Final = "hour"
MARKET_DIMENSION: Final = "market"
_HOUR_FORMAT: Final = "%Y-%m-%d-%H:%M"
_DAY_FORMAT: Final = "%Y-%m-%d"
RANGE_START_TAG: Final = "dagster/asset_partition_range_start"
RANGE_END_TAG: Final = "dagster/asset_partition_range_end"


class MarketHoursPartitions(dg.MultiPartitionsDefinition):
    """Hour x market; the keys of the newest range are kept, which Dagster asks for some forty times in a run."""

    _newest: tuple[dg.PartitionKeyRange, Sequence[Any]] | None = None

    def get_partition_keys_in_range(
        self,
        partition_key_range: dg.PartitionKeyRange,
        dynamic_partitions_store: DynamicPartitionsStore | None = None,
    ) -> Sequence[dg.MultiPartitionKey]:
        """Return the keys of a rectangle of hours and markets, hour by hour."""
        newest = self._newest
        if newest is None or newest[0] != partition_key_range:
            keys = super().get_partition_keys_in_range(partition_key_range, dynamic_partitions_store)
            newest = self._newest = (partition_key_range, keys)
        return list(newest[1])


def build_partitions(universe: Universe, grain: str = "hour") -> dg.MultiPartitionsDefinition:
    """Return the partitions that every partitioned asset shares.

    Parameters
    ----------
    universe : Universe
        Markets in their fixed order, first hour and, optionally, the end.
    grain : {"hour", "day"}
        Length of a partition; with `day` the dimension keeps the name `hour`.

    Notes
    -----
    `end_offset=0`: an hour that is still open has no partition, so it cannot be materialized.
    """
    start = datetime.fromtimestamp(universe.start_ms / 1000, tz=UTC)
    end = datetime.fromtimestamp(universe.end_ms / 1000, tz=UTC) if universe.end_ms else None
    windows: dg.TimeWindowPartitionsDefinition
    if grain == "day":
        windows = dg.DailyPartitionsDefinition(start, end_date=end, fmt=_DAY_FORMAT, timezone="UTC")
    else:
        windows = dg.HourlyPartitionsDefinition(start, end_date=end, fmt=_HOUR_FORMAT, timezone="UTC")
    markets = dg.StaticPartitionsDefinition([market.key for market in universe.markets])
    return MarketHoursPartitions({HOUR_DIMENSION: windows, MARKET_DIMENSION: markets})


@dataclass(frozen=True, slots=True)
class Slice:
    """One market over a window of whole hours, with the partition keys that make it up, in order."""

    market: Market
    window: Window
    keys: tuple[str, ...]
    partition_ms: int

    @property
    def starts_ms(self) -> Sequence[int]:
        """Start of each partition, epoch milliseconds, in the order of `keys`."""
        return range(self.window.start_ms, self.window.end_ms, self.partition_ms)


class HasPartitionKeys(Protocol):
    """What a Dagster execution context has for a step of a partitioned run."""

    @property
    def partition_keys(self) -> Sequence[str]:
        """Keys of the run's partitions."""
        ...


class MarketHours:
    """Contiguous slices behind a run's partitions: one key, one market's range, or a rectangle of both.

    Parameters
    ----------
    context : HasPartitionKeys
        Context of an asset or an asset check in a partitioned run.
    """

    def __init__(self, context: HasPartitionKeys) -> None:
        self._starts: dict[str, list[tuple[int, str]]] = {}
        self._step_ms = HOUR_MS
        for key in context.partition_keys:
            hour, market = _dimensions(key)
            self._step_ms = HOUR_MS if ":" in hour else 24 * HOUR_MS
            self._starts.setdefault(market, []).append((_parse_start(hour), str(key)))

    def __iter__(self) -> Iterator[Slice]:
        for market, starts in self._starts.items():
            yield from self._contiguous(Market.parse(market), sorted(starts))

    def _contiguous(self, market: Market, starts: list[tuple[int, str]]) -> Iterator[Slice]:
        """Cut sorted partition starts wherever one is missing."""
        first = 0
        for row in range(1, len(starts) + 1):
            if row == len(starts) or starts[row][0] != starts[row - 1][0] + self._step_ms:
                window = Window(starts[first][0], starts[row - 1][0] + self._step_ms)
                yield Slice(market, window, tuple(key for _, key in starts[first:row]), self._step_ms)
                first = row


def _dimensions(key: str) -> tuple[str, str]:
    """Hour and market of a key; Dagster sorts dimensions by name, so the hour comes first."""
    hour, _, market = key.partition("|")
    return hour, market


def _parse_start(text: str) -> int:
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    hour = int(text[11:13]) if ":" in text else 0
    return round(datetime(year, month, day, hour, tzinfo=UTC).timestamp() * 1000)


def partition_key(market: Market, start_ms: int, grain: str = "hour") -> str:
    """Print the key of the partition of `market` that starts at `start_ms`."""
    moment = datetime.fromtimestamp(start_ms / 1000, tz=UTC)
    return f"{moment.strftime(_DAY_FORMAT if grain == 'day' else _HOUR_FORMAT)}|{market.key}"


def partition_step_ms(grain: str) -> int:
    """Return the length of a partition, milliseconds; `grain` is "hour" or "day"."""
    return 24 * HOUR_MS if grain == "day" else HOUR_MS


def range_tags(first: Market, last: Market, window: Window, grain: str = "hour") -> Mapping[str, str]:
    """Run tags that materialize a rectangle in one run: markets `first` to `last` (in file order) x the window."""
    last_start = window.end_ms - partition_step_ms(grain)
    return {
        RANGE_START_TAG: partition_key(first, window.start_ms, grain),
        RANGE_END_TAG: partition_key(last, last_start, grain),
    }
