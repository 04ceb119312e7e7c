"""Requests of webhooks, each answered once and forgotten after a while, and the hours that they want collected.

See `api.hook_routes` for who asks, `services.chain.collections` for who collects.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage.bulk.statements import epoch_ms, moment
from regime_pipeline.storage.pool import ConnectionPool

_EXPIRE: Final = "DELETE FROM hook_request WHERE asked_at < now() - %s"
_ASK: Final = (
    "INSERT INTO hook_request (request_id, question) VALUES (%s, %s) ON CONFLICT (request_id) DO NOTHING "
    "RETURNING request_id"
)
_ASKED: Final = (
    "SELECT question::text, answer::text, extract(epoch FROM now() - asked_at)::float8 FROM hook_request "
    "WHERE request_id = %s AND asked_at >= now() - %s"
)
_ANSWER: Final = "UPDATE hook_request SET answer = %s WHERE request_id = %s AND answer IS NULL"
_FORGET: Final = "DELETE FROM hook_request WHERE request_id = %s AND answer IS NULL"
_WANT: Final = (
    "INSERT INTO collect_request AS wanted (symbol, timeframe, hour_start) VALUES (%s, %s, %s) "
    "ON CONFLICT (symbol, timeframe, hour_start) DO UPDATE SET launched_at = NULL "
    "WHERE wanted.launched_at < now() - %s"
)
_WANTED: Final = (
    "SELECT symbol, timeframe, hour_start FROM collect_request WHERE launched_at IS NULL "
    "ORDER BY hour_start, symbol, timeframe"
)
_LAUNCHED: Final = (
    "UPDATE collect_request SET launched_at = now() WHERE symbol = %s AND timeframe = %s AND hour_start = %s"
)
_OLD_WANTS: Final = "DELETE FROM collect_request WHERE asked_at < now() - %s"
RELAUNCH_AFTER: Final = timedelta(minutes=5)
"""A collection that was launched so long ago and has not come about may be launched again."""


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A request as it is kept.

    Parameters
    ----------
    question : dict
        What was asked.
    answer : dict or None
        The answer; None while there is none.
    age_s : float
        Seconds since it was asked.
    """

    question: dict[str, Any]
    answer: dict[str, Any] | None
    age_s: float


class HookStore:
    """Webhook requests of one database; `Warehouse.hooks` gives one."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def ask(self, request_id: str, question: dict[str, Any], kept_for: timedelta) -> bool:
        """Record a request; False if it is there already. Requests older than `kept_for` are dropped first."""
        text = orjson.dumps(question).decode()

        def work(cursor: Any) -> bool:
            cursor.execute(_EXPIRE, (kept_for,))
            return cursor.execute(_ASK, (request_id, text)).fetchone() is not None

        return self._pool.transact(work)

    def asked(self, request_id: str, kept_for: timedelta) -> HookRequest | None:
        """Return a request that is at most `kept_for` old; None for an unknown one."""
        row = self._pool.query(lambda cursor: cursor.execute(_ASKED, (request_id, kept_for)).fetchone())
        if row is None:
            return None
        return HookRequest(orjson.loads(row[0]), None if row[1] is None else orjson.loads(row[1]), row[2])

    def answer(self, request_id: str, answer: dict[str, Any]) -> None:
        """Record the answer to a request; the first one stands."""
        text = orjson.dumps(answer).decode()
        self._pool.transact(lambda cursor: cursor.execute(_ANSWER, (text, request_id)))

    def forget(self, request_id: str) -> None:
        """Drop a request that failed, so that it may be asked again."""
        self._pool.transact(lambda cursor: cursor.execute(_FORGET, (request_id,)))

    def want(self, market: Market, hour_ms: int) -> None:
        """Record that an hour is to be collected; one that was launched a while ago is to be launched again."""
        key = (market.symbol, market.timeframe, moment(hour_ms))
        self._pool.transact(lambda cursor: cursor.execute(_WANT, (*key, RELAUNCH_AFTER)))

    def wanted(self) -> list[tuple[Market, int]]:
        """Return the market-hours to collect that were not launched yet, oldest first."""
        rows = self._pool.query(lambda cursor: cursor.execute(_WANTED).fetchall())
        return [(Market(symbol, timeframe), epoch_ms(hour)) for symbol, timeframe, hour in rows]

    def mark_launched(self, market: Market, hour_ms: int, kept_for: timedelta) -> None:
        """Record that a market-hour was launched, and drop wants older than `kept_for`."""

        def work(cursor: Any) -> None:
            cursor.execute(_LAUNCHED, (market.symbol, market.timeframe, moment(hour_ms)))
            cursor.execute(_OLD_WANTS, (kept_for,))

        self._pool.transact(work)
