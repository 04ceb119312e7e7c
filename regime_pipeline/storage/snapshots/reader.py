"""Snapshots by symbol and time, as analysts and services request them, and the check of all files of an hour.

See `store` for how files are found and read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Final

from regime_pipeline.domain.errors import BadSnapshotError, MissingDataError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.snapshot import PRICE_COLUMNS, HourSnapshot
from regime_pipeline.domain.market_data.window import Int64, to_iso, to_ms
from regime_pipeline.storage.snapshots.store import SnapshotStore

_SEARCH_STEP_MS: Final = 30 * DAY_MS
_SEARCHED_MS: Final = 3_650 * DAY_MS


class SnapshotReader:
    """Snapshots of a store by symbol and time.

    Parameters
    ----------
    store : SnapshotStore
        Where the files are.
    """

    def __init__(self, store: SnapshotStore) -> None:
        self._store = store

    @property
    def root(self) -> str:
        """Folder or URL of the snapshots."""
        return self._store.root

    def load_snapshot(
        self, symbol: str, timestamp: datetime | str, timeframe: str = "1h", as_of: datetime | str | None = None
    ) -> HourSnapshot:
        """Read the snapshot of the hour that holds a moment.

        Parameters
        ----------
        symbol : str
            `ETH-USDT`; the old forms are accepted.
        timestamp : datetime or str
            Any moment of the hour: an aware time, or ISO-8601 with offset.
        timeframe : str
            One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`.
        as_of : datetime or str, optional
            Read the newest revision collected at or before this time, instead of the newest of all.

        Raises
        ------
        MissingDataError
            There is no such snapshot.
        BadSnapshotError
            The file is damaged; every fault is named.
        UsageError
            The symbol, timeframe or a time cannot be read.
        """
        market, hour_ms = Market(symbol, timeframe), _hour(timestamp)
        snapshot = self._store.load(market, hour_ms, None if as_of is None else to_ms(as_of))
        if snapshot is None:
            known = "" if as_of is None else f" as of {as_of}"
            raise MissingDataError(
                f"There is no snapshot of {market} {to_iso(hour_ms)}{known} under {self._store.root}.",
                "Materialize hourly_snapshots for that hour.",
            )
        return snapshot

    def newest_hour(self, symbol: str, timeframe: str, before_ms: int) -> int:
        """Return the start of the newest hour with a snapshot that began before a moment, epoch milliseconds UTC.

        Raises
        ------
        MissingDataError
            There is none in the ten years before.
        UsageError
            The symbol or timeframe cannot be read.
        """
        market, end = Market(symbol, timeframe), before_ms
        while end > before_ms - _SEARCHED_MS:
            found = self._store.hours_present(market, end - _SEARCH_STEP_MS, end)
            if len(found):
                return int(found[-1])
            end -= _SEARCH_STEP_MS
        raise MissingDataError(
            f"There is no snapshot of {market} under {self._store.root}.",
            "Materialize hourly_snapshots, or name the folder.",
        )

    def load_range(
        self, symbol: str, start: datetime | str, end: datetime | str, timeframe: str = "1h"
    ) -> list[HourSnapshot]:
        """Read the snapshots of the hours that start in [start, end), in order; hours without a file are left out.

        Raises
        ------
        BadSnapshotError
            A file is damaged; every fault is named.
        UsageError
            The symbol, timeframe or a time cannot be read.
        """
        first, last = -(-to_ms(start) // HOUR_MS) * HOUR_MS, to_ms(end)
        return self._store.load_range(Market(symbol, timeframe), first, last)

    def load_candles(self, market: Market, start_ms: int, end_ms: int, as_of_ms: int | None = None) -> Candles:
        """Read the bars that open in [start, end), epoch milliseconds UTC, as they were known at `as_of_ms`.

        Raises
        ------
        BadSnapshotError
            A file is damaged; every fault is named.
        """
        return self._store.read_candles(market, start_ms, end_ms, as_of_ms)

    def hours_present(self, market: Market, start_ms: int, end_ms: int) -> Int64:
        """Return the hours in [start, end) that have a file, ascending, int64 epoch milliseconds UTC."""
        return self._store.hours_present(market, start_ms, end_ms)

    def validate_hour(self, symbol: str, timestamp: datetime | str) -> tuple[str, ...]:
        """Check all files of a symbol's hour, each by itself and against each other.

        Returns
        -------
        tuple of str
            Every fault: damaged files, absent bars (the minutes are named), files that tell of different prices, files
            without a hash. Empty if the hour is sound and whole.
        """
        hour_ms = _hour(timestamp)
        faults: list[str] = []
        snapshots: list[HourSnapshot] = []
        for timeframe in TIMEFRAME_MINUTES:
            try:
                snapshot = self._store.load(Market(symbol, timeframe), hour_ms)
            except BadSnapshotError as error:
                faults.append(error.what)
                continue
            if snapshot is not None:
                snapshots.append(snapshot)
        if not snapshots and not faults:
            faults.append(f"there is no snapshot of {symbol} {to_iso(hour_ms)}")
        faults += [f"{s}: no hash, so nobody can tell whether it is as it was written" for s in _unverified(snapshots)]
        return (*faults, *(fault for s in snapshots for fault in _absences(s)), *_disagreements(snapshots))


def _hour(timestamp: datetime | str) -> int:
    return to_ms(timestamp) // HOUR_MS * HOUR_MS


def _unverified(snapshots: Sequence[HourSnapshot]) -> list[HourSnapshot]:
    return [snapshot for snapshot in snapshots if not snapshot.is_verified]


def _absences(snapshot: HourSnapshot) -> list[str]:
    """Name the absent bars of a sound snapshot."""
    step = snapshot.market.step_ms
    opens = [to_iso(at)[11:16] for start, end in snapshot.gaps for at in range(start, end, step)]
    if not opens:
        return []
    return [f"{snapshot}: {len(opens)} of {snapshot.expected} bars are absent ({snapshot.status}): {', '.join(opens)}"]


def _disagreements(snapshots: Sequence[HourSnapshot]) -> list[str]:
    """Compare the hour's prices as the files tell them whose bars cover exactly the hour."""
    prices = {
        str(s.market): [Fraction(getattr(summary, name), s.price_scale) for name in PRICE_COLUMNS]
        for s in snapshots
        if s.status == "complete" and s.market.step_ms <= HOUR_MS and (summary := s.market_summary)
    }
    first = next(iter(prices), "")
    return [
        f"{name} is {float(mine)} in {market}, {float(theirs)} in {first}"
        for market, values in prices.items()
        for name, mine, theirs in zip(PRICE_COLUMNS, values, prices[first], strict=True)
        if mine != theirs
    ]
