"""Where a backtest's verdicts and candles come from: snapshot files alone, or the tables of a database.

See `hours` for what is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64, Window, to_iso
from regime_pipeline.domain.schema import DIRECTIONS, VERDICTS
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.policy import Policy
from regime_pipeline.services.analysis_service import RegimeAnalysisService
from regime_pipeline.services.chain.reading import candle_span
from regime_pipeline.storage.snapshots.reader import SnapshotReader
from regime_pipeline.storage.warehouse import Warehouse

_COLUMNS = ("hour_start", "verdict", "confidence", "direction", "policy_hash")


@dataclass(frozen=True, eq=False)
class FoundVerdicts:
    """Verdict rows of one market, one per hour that has one, ascending, and the candles of the same span.

    Parameters
    ----------
    hour_start : ndarray of int64, shape (n,)
        Epoch milliseconds UTC.
    verdict, direction : ndarray of int8, shape (n,)
        Codes into `schema.VERDICTS` and `schema.DIRECTIONS`.
    confidence : ndarray of float64, shape (n,)
        0..1.
    policies : tuple of str
        Hash of every policy behind the rows, sorted.
    candles : Candles
        The bars that close in the span.
    """

    hour_start: Int64
    verdict: NDArray[np.int8]
    direction: NDArray[np.int8]
    confidence: NDArray[np.float64]
    policies: tuple[str, ...]
    candles: Candles


class VerdictReader(Protocol):
    """Gives the verdicts of a market and span."""

    @property
    def origin(self) -> str:
        """`snapshots` or `database`."""
        ...

    def read(self, market: Market, window: Window) -> FoundVerdicts:
        """Return the rows of the hours in the window; raises `MissingDataError` where there is none."""
        ...


class SnapshotVerdicts:
    """Verdicts computed from snapshot files.

    Parameters
    ----------
    reader : SnapshotReader
        Where the files are.
    policy : Policy, optional
        Thresholds; the shipped ones if None.
    null_table : NullTable, optional
        Made for the policy; the shipped one if None.
    """

    origin = "snapshots"

    def __init__(
        self, reader: SnapshotReader, policy: Policy | None = None, null_table: NullTable | None = None
    ) -> None:
        self._reader = reader
        self._service = RegimeAnalysisService(reader, policy, null_table)

    def read(self, market: Market, window: Window) -> FoundVerdicts:
        """Return the verdict of every hour with a file.

        Raises
        ------
        MissingDataError
            No hour has one.
        BadSnapshotError
            A file is damaged; every fault is named.
        """
        start, end = to_iso(window.start_ms), to_iso(window.end_ms)
        frame = self._service.analyze_range(market.symbol, start, end, market.timeframe, workers=1)
        rows: dict[str, NDArray[Any]] = {
            "hour_start": _times(frame["hour_start"]),
            "verdict": _codes(frame["verdict"], VERDICTS),
            "direction": _codes(frame["direction"], DIRECTIONS),
            "confidence": frame["confidence"].to_numpy(np.float64),
            "policy_hash": frame["policy_hash"].to_numpy(),
        }
        return _found(rows, self._reader.load_candles(market, *candle_span(market, window)))


class VerdictRows:
    """Verdicts of the table `regime_verdicts`, as the pipeline wrote them.

    Parameters
    ----------
    warehouse : Warehouse
        The database.
    """

    origin = "database"

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def read(self, market: Market, window: Window) -> FoundVerdicts:
        """Return every stored row of the window.

        Raises
        ------
        MissingDataError
            The market is not stored.
        StorageError
            The database refused.
        """
        candles = self._warehouse.read_candles(market, *candle_span(market, window))
        return _found(self._warehouse.read_range("regime_verdicts", market, window, _COLUMNS), candles)


def _found(rows: dict[str, NDArray[Any]], candles: Candles) -> FoundVerdicts:
    policies = tuple(sorted({str(text) for text in rows.pop("policy_hash").tolist()}))
    return FoundVerdicts(**rows, policies=policies, candles=candles)


def _times(column: Any) -> Int64:
    return np.asarray(column.dt.tz_convert("UTC").to_numpy("M8[ms]").astype(np.int64))


def _codes(column: Any, names: tuple[str, ...]) -> NDArray[np.int8]:
    return np.asarray(column.cat.set_categories(list(names)).cat.codes.to_numpy(np.int8))
