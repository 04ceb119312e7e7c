"""Markets and runs of one database by number, looked up once in a process.

See `series_and_runs` for the statements, `warehouse` for the rows that carry these numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

from regime_pipeline.domain.errors import MissingDataError, StorageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage import series_and_runs as catalog
from regime_pipeline.storage.pool import ConnectionPool
from regime_pipeline.storage.small_stores import SmallStores


class MarketRegistry(SmallStores):
    """Numbers and price scales of markets, and numbers of runs; what was found is remembered."""

    def __init__(self, pool: ConnectionPool) -> None:
        super().__init__(pool)
        self._pool = pool
        self._series: dict[Market, catalog.Series] = {}
        self._runs: dict[int, catalog.Run] = {}

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

    def look_up(self, markets: Iterable[Market]) -> None:
        """Learn the numbers of those markets that are stored, by one statement for all that are not known yet."""
        self._found_of(markets)

    def _found(self, market: Market) -> catalog.Series | None:
        return self._found_of([market]).get(market)

    def _found_of(self, markets: Iterable[Market]) -> dict[Market, catalog.Series]:
        """The series of those markets that are stored, the unknown ones looked up by one statement."""
        wanted = list(dict.fromkeys(markets))
        unknown = [market for market in wanted if market not in self._series]
        if unknown:
            self._series |= self._pool.query(lambda cursor: catalog.find_series(cursor, unknown))
        return {market: self._series[market] for market in wanted if market in self._series}

    def _known(self, market: Market) -> catalog.Series:
        series = self._found(market)
        if series is not None:
            return series
        raise MissingDataError(f"{market} is not stored.", "Materialize its raw_candles first.")

    def _run(self, run_id: int) -> catalog.Run:
        if run_id not in self._runs:
            self._runs[run_id] = self._pool.query(lambda cursor: catalog.find_run(cursor, run_id))
        return self._runs[run_id]
