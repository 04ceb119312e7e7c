"""`Warehouse`, the database as the package sees it: one bulk write, one bulk read, and small questions.

See `bulk` for the steps of a write and a read, `small_stores` for small tables, `snapshots` for files.

API in short (times are epoch milliseconds UTC, windows are whole hours)::

    warehouse = Warehouse(url)                                  # picklable, lazy, thread-safe, a context manager
    warehouse.series_id(market, venue="binance", price_scale=100)          # get or create
    run_id = warehouse.start_run(code_version, config_hash, dagster_run_id)  # once per step, BEFORE it reads
    report = warehouse.replace_range("features", market, window, rows, run_id)
    rows = warehouse.read_range("features", market, window)     # dict of numpy arrays, sorted by the key
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from numpy.typing import NDArray

from regime_pipeline.domain.errors import MissingDataError, StorageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64, Window
from regime_pipeline.storage import series_and_runs as catalog
from regime_pipeline.storage.admin.table_stats import TableSize, seconds_since_writes, table_sizes
from regime_pipeline.storage.bulk.batch import Batch, prepare_batch
from regime_pipeline.storage.bulk.columns import BULK_TABLES, CANDLES, BulkTable, Rows, bulk_table
from regime_pipeline.storage.bulk.diff import WriteReport
from regime_pipeline.storage.bulk.ledger import (
    Month,
    Recorded,
    newest_hour,
    read_days,
    read_months,
    stale_hours,
    whole_days,
)
from regime_pipeline.storage.bulk.newest_rows import NewestRow, read_newest
from regime_pipeline.storage.bulk.regime_reads import (
    ReadVersion,
    RegimeQuery,
    StoredRegimes,
    is_at_version,
    load_regimes,
    with_candles,
)
from regime_pipeline.storage.bulk.stale_ranges import Reach, StaleRange, clear, read_stale_ranges
from regime_pipeline.storage.bulk.statements import lock, read_arrays, read_in_pages
from regime_pipeline.storage.bulk.transaction import apply_batches, revised_bars
from regime_pipeline.storage.bulk.verdict_reads import StoredVerdicts, read_verdicts
from regime_pipeline.storage.pool import ConnectionPool, Cursor
from regime_pipeline.storage.small_stores import SmallStores

if TYPE_CHECKING:
    import pandas as pd

PAGE_ROWS: Final = 131_072
"""Most rows read by one statement: an array of texts stays far below PostgreSQL's 1 GB a value."""
_BAR: Final = ("open", "high", "low", "close")


class Warehouse(SmallStores):
    """Rows of every asset in one PostgreSQL database.

    Parameters
    ----------
    url : str
        PostgreSQL URL in any spelling. Nothing is opened before the first use.

    Notes
    -----
    Safe in threads; pickles as its URL; a forked child opens connections of its own. Every method raises
    `StorageError` when the database refuses. Lost races and lost connections are retried as whole transactions.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = ConnectionPool(url)
        super().__init__(self._pool)
        self._series: dict[Market, catalog.Series] = {}
        self._runs: dict[int, catalog.Run] = {}

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.url,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every idle connection; a later call opens new ones."""
        self._pool.close()

    def series_id(self, market: Market, *, venue: str | None = None, price_scale: int | None = None) -> int:
        """Return the number of a market, creating it when venue and price scale are given.

        Parameters
        ----------
        market : Market
            Symbol and timeframe.
        venue : str, optional
            Where it trades; needed the first time.
        price_scale : int, optional
            Ticks per unit of quote currency; needed the first time.

        Raises
        ------
        MissingDataError
            The market is unknown and was not to be created.
        StorageError
            It is stored with another price scale (`rescale` changes it).
        """
        if self._found(market) is None and venue is not None and price_scale is not None:
            self._pool.transact(lambda cursor: catalog.add_series(cursor, market, venue, price_scale))
        series = self._known(market)
        if price_scale is not None and price_scale != series.price_scale:
            raise StorageError(
                f"{market} is stored with price scale {series.price_scale}, not {price_scale}.",
                "Use the stored one, or change it with Warehouse.rescale.",
            )
        return series.series_id

    def rescale(self, market: Market, price_scale: int) -> None:
        """Change how many ticks make a unit of quote currency; stored prices stay as they are."""
        self._pool.transact(lambda cursor: catalog.rescale_series(cursor, market, price_scale))
        self._series.pop(market, None)

    def price_scale(self, market: Market) -> int:
        """Return a market's ticks per unit of quote currency; errors as `series_id`."""
        return self._known(market).price_scale

    def markets(self) -> list[Market]:
        """Return every stored market, in the order of first use."""
        return self._pool.query(catalog.list_markets)

    def start_run(self, code_version: str, config_hash: str, dagster_run_id: str | None = None) -> int:
        """Register a run and return its number, which every row it writes carries.

        Call it for every step, before the step reads: corrections that arrive later keep their dirty marks.
        """
        return self._pool.transact(lambda cursor: catalog.start_run(cursor, code_version, config_hash, dagster_run_id))

    # Bulk write

    def replace_range(self, table: str, market: Market, window: Window, rows: Rows, run_id: int) -> WriteReport:
        """Make a table hold exactly these rows of a market in a window, in one transaction.

        Parameters
        ----------
        table : str
            Name of a bulk table, for example `features`; also the asset in the ledger and in dirty marks.
        market : Market
            A market known to `series_id`.
        window : Window
            Whole hours. A bar belongs to the hour in which it closes.
        rows : mapping of ndarray, each of shape (n,)
            Exactly the table's columns, sorted by the key (`open_time` or `hour_start`, int64 epoch milliseconds UTC).
            NaN in floats of hourly tables and NaT (least int64) in times are stored as NULL; labels are int8 codes;
            documents are JSON texts or objects.
        run_id : int
            From `start_run`.

        Returns
        -------
        WriteReport
            What was written. Hours whose content (and configuration) is unchanged are not touched.

        Raises
        ------
        StorageError
            The rows are not sound (nothing is written), or the database refused.
        """
        if table == CANDLES.name:
            raise StorageError("Candles are written with their hours.", "Call replace_candles.")
        return self._write(market, window, {bulk_table(table): rows}, run_id, {})[0]

    def replace_candles(
        self, market: Market, window: Window, candles: Candles, hours: Rows, run_id: int, reach: Reach
    ) -> tuple[WriteReport, WriteReport]:
        """Make `candles` and `candle_hours` hold exactly these rows of a window, in one transaction.

        Changed and removed candles keep their former values in `candle_revisions`. Where that, or a candle that
        comes late, alters what downstream assets were computed from, their hours are marked dirty.

        Parameters
        ----------
        market : Market
            A market known to `series_id`.
        window : Window
            Whole hours.
        candles : Candles
            The bars that close in the window.
        hours : mapping of ndarray
            `hour_start`, `expected`, `present`, `status` of each hour (see `completeness.hour_statuses`).
        run_id : int
            From `start_run`.
        reach : mapping of str to int
            Asset to how far after a changed bar's close its rows may change, in milliseconds.

        Returns
        -------
        tuple of WriteReport
            Of `candles` and of `candle_hours`. Errors as `replace_range`.
        """
        if candles.market != market or candles.price_scale != self.price_scale(market):
            raise StorageError(
                f"Candles of {candles.market} at scale {candles.price_scale} given for {market} "
                f"at scale {self.price_scale(market)}.",
                "Convert them first.",
            )
        rows = {"open_time": candles.open_time_ms, **{name: candles.prices(name) for name in _BAR}}
        tables = {CANDLES: {**rows, "volume": candles.volume}, BULK_TABLES["candle_hours"]: hours}
        bars, statuses = self._write(market, window, tables, run_id, reach)
        return bars, statuses

    def _write(
        self, market: Market, window: Window, tables: dict[BulkTable, Rows], run_id: int, reach: Reach
    ) -> Sequence[WriteReport]:
        run, series_id = self._run(run_id), self._known(market).series_id
        batches = [prepare_batch(table, market, window, rows, run.config_hash) for table, rows in tables.items()]
        return self._locked_write(batches, series_id, run, reach)

    def _locked_write(
        self, batches: Sequence[Batch], series_id: int, run: catalog.Run, reach: Reach
    ) -> Sequence[WriteReport]:
        def work(cursor: Cursor) -> Sequence[WriteReport]:
            lock(cursor, [f"{batch.table.name}|{series_id}" for batch in batches])
            return apply_batches(cursor, batches, series_id, run, reach)

        return self._pool.transact(work)

    # Bulk read

    def read_range(
        self, table: str, market: Market, window: Window, columns: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Read the rows of a window, sorted by the key.

        Parameters
        ----------
        table : str
            Name of a bulk table.
        market : Market
            Symbol and timeframe; one that was never stored has no rows.
        window : Window
            Whole hours; the bars that close in them.
        columns : sequence of str, optional
            Columns wanted, in order (`run_id` can be asked for); all but run_id by default.

        Returns
        -------
        dict of ndarray
            Times int64 epoch milliseconds (NULL: NaT), labels int8 codes, NULL floats NaN, documents parsed.
        """
        source = bulk_table(table)
        return self._read(source, market, *source.key_bounds(market, window), tuple(columns or source.names))

    def read_candles(self, market: Market, start_ms: int, end_ms: int) -> Candles:
        """Read the candles that open in [start, end); errors as `series_id`."""
        scale = self.price_scale(market)
        rows = self._read(CANDLES, market, start_ms, end_ms, CANDLES.names)
        prices = [rows[name] for name in _BAR]
        return Candles.from_prices(market, scale, rows["open_time"], prices, rows["volume"])

    def read_frame(
        self, table: str, market: Market, window: Window, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read a window as a frame: aware UTC times with `known_at`, categoricals, regime states by name."""
        from regime_pipeline.storage.frames import to_frame  # pandas takes a second to import

        return to_frame(bulk_table(table), market, self.read_range(table, market, window, columns))

    def regimes(self, wanted: RegimeQuery) -> StoredRegimes:
        """Read candle regimes and which of them hold, all of one moment, in one round trip where everything holds.

        Raises
        ------
        MissingDataError
            The market is not stored.
        """
        series = self._known(wanted.market)
        found = self._pool.query(lambda cursor: load_regimes(cursor, series, wanted))
        is_whole = found.is_current.all()
        return found if is_whole else self._pool.transact(lambda c: with_candles(c, series, wanted, found))

    def are_regimes_as_marked(self, market: Market, mark: ReadVersion) -> bool:
        """Tell whether `regimes` would still return what it returned with this mark; errors as `regimes`."""
        series = self._known(market)
        return self._pool.query(lambda cursor: is_at_version(cursor, series, mark))

    def verdicts(self, market: Market, window: Window, config_hash: str, reach_hours: int) -> StoredVerdicts:
        """Read hourly verdicts and which of them hold, all of one moment (see `read_verdicts`); errors as `regimes`."""
        series = self._known(market)
        return self._pool.transact(lambda c: read_verdicts(c, series, market, window, config_hash, reach_hours))

    def _read(
        self, table: BulkTable, market: Market, start_ms: int, end_ms: int, names: tuple[str, ...]
    ) -> dict[str, NDArray[Any]]:
        """Read a span of keys, in pages of one snapshot where one value could grow too large."""
        series = self._found(market)
        if series is None:
            return table.empty(names)
        page_ms = PAGE_ROWS * (market.step_ms if table.is_per_bar else HOUR_MS)
        if end_ms - start_ms <= page_ms:
            return self._pool.query(lambda c: read_arrays(c, table, series.series_id, start_ms, end_ms, names))

        starts = range(start_ms, end_ms, page_ms)
        return self._pool.transact(lambda c: read_in_pages(c, table, series.series_id, starts, end_ms, names))

    # Questions

    def ledger(self, asset: str, market: Market, window: Window) -> Recorded:
        """Return hash, row count and run of each hour of a window (run 0: nothing recorded)."""
        series = self._found(market)
        if series is None:
            return Recorded.nothing(window)
        days = whole_days(window)
        return self._pool.query(lambda c: read_days(c, asset, series.series_id, days)).within(window)

    def months(self, asset: str, market: Market) -> list[Month]:
        """Return what is recorded of an asset by UTC month, oldest first."""
        series = self._found(market)
        return [] if series is None else self._pool.query(lambda c: read_months(c, asset, series.series_id))

    def stale_hours(self, asset: str, config_hash: str, start_ms: int, end_ms: int | None) -> dict[Market, int]:
        """Return how many recorded hours of a span another configuration wrote, by market; none are left out."""
        found = self._pool.query(lambda cursor: stale_hours(cursor, asset, config_hash, start_ms, end_ms))
        return {Market(symbol, timeframe): hours for symbol, timeframe, hours in found}

    def last_partition(self, asset: str, market: Market) -> int | None:
        """Return the start of the newest recorded hour of an asset, epoch milliseconds; None if there is none."""
        series = self._found(market)
        return None if series is None else self._pool.query(lambda c: newest_hour(c, asset, series.series_id))

    def latest(self, market: Market, table: str = "candles") -> int | None:
        """Return the newest key of a market's rows in a bulk table, epoch milliseconds; None if there are none."""
        return self._end(market, table, "max")

    def oldest(self, market: Market, table: str = "candles") -> int | None:
        """Return the oldest key of a market's rows in a bulk table, epoch milliseconds; None if there are none."""
        return self._end(market, table, "min")

    def count_candles(self, market: Market, start_ms: int, end_ms: int) -> int:
        """Return how many candles open in [start, end); errors as `series_id`."""
        series_id = self._known(market).series_id
        return self._pool.query(lambda cursor: catalog.count_keys(cursor, CANDLES, series_id, start_ms, end_ms))

    def newest_rows(self) -> list[NewestRow]:
        """Return candle, verdict and advice of every market's newest hour, in one statement."""
        return self._pool.query(read_newest)

    def _end(self, market: Market, table: str, which: catalog.End) -> int | None:
        series, source = self._found(market), bulk_table(table)
        if series is None:
            return None
        return self._pool.query(lambda c: catalog.end_key(c, source, series.series_id, which))

    def revised_bars(self, market: Market, start_ms: int, end_ms: int) -> Int64:
        """Return the open times in [start, end) whose candles were ever restated or removed, ascending, int64 ms."""
        series_id = self._known(market).series_id
        return self._pool.query(lambda cursor: revised_bars(cursor, series_id, start_ms, end_ms))

    def dirty(self, market: Market | None = None, asset: str | None = None) -> list[StaleRange]:
        """Return what corrections have made stale and nothing has recomputed yet, oldest mark first."""
        return self._pool.query(lambda cursor: read_stale_ranges(cursor, market, asset))

    def clear_stale(self, asset: str, market: Market, window: Window, run_id: int) -> None:
        """Clear the marks that the run could see over a window, for an asset that is stored outside the database."""
        mark, series_id = self._run(run_id).dirty_mark, self._known(market).series_id
        self._pool.transact(lambda c: clear(c, asset, series_id, window, mark))

    def table_sizes(self) -> list[TableSize]:
        """Return every table with its estimated rows and its bytes, indexes included."""
        return self._pool.query(table_sizes)

    def seconds_since_writes(self) -> dict[str, float]:
        """Return by asset how long ago it last wrote an hour, seconds."""
        return self._pool.query(seconds_since_writes)

    def _found(self, market: Market) -> catalog.Series | None:
        series = self._series.get(market)
        if series is None:
            series = self._pool.query(lambda cursor: catalog.find_series(cursor, market))
            if series is not None:
                self._series[market] = series
        return series

    def _known(self, market: Market) -> catalog.Series:
        series = self._found(market)
        if series is not None:
            return series
        raise MissingDataError(f"{market} is not stored.", "Materialize its raw_candles first.")

    def _run(self, run_id: int) -> catalog.Run:
        if run_id not in self._runs:
            self._runs[run_id] = self._pool.query(lambda cursor: catalog.find_run(cursor, run_id))
        return self._runs[run_id]
