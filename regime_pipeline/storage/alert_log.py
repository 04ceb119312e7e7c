"""Which alerts were sent on which channel, and since when alerts are sent at all.

See `services.alerts` for what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from regime_pipeline.storage.bulk.statements import epoch_ms, moment
from regime_pipeline.storage.pool import ConnectionPool

_CLAIM: Final = (
    "INSERT INTO alert_log (alert_id, channel, message) VALUES (%s, %s, %s) "
    "ON CONFLICT (alert_id, channel) DO NOTHING RETURNING alert_id"
)
_RELEASE: Final = "DELETE FROM alert_log WHERE alert_id = %s AND channel = %s"
_BEGIN: Final = (
    "INSERT INTO alert_log (alert_id, channel, message, sent_at) VALUES ('', '', 'alerts began', %s) "
    "ON CONFLICT (alert_id, channel) DO NOTHING"
)
_BEGAN: Final = "SELECT sent_at FROM alert_log WHERE alert_id = '' AND channel = ''"
_SENT: Final = (
    "SELECT alert_id, channel, message, sent_at FROM alert_log WHERE alert_id <> '' "
    "ORDER BY sent_at DESC, alert_id, channel LIMIT %s"
)


@dataclass(frozen=True, slots=True)
class SentAlert:
    """An alert as it was sent."""

    alert_id: str
    channel: str
    message: str
    sent_at: datetime


class AlertStore:
    """Sent alerts of one database; `Warehouse.alerts` gives one."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def began_ms(self, now_ms: int) -> int:
        """Return since when alerts are sent, epoch milliseconds UTC; from now on if this is the first call."""

        def work(cursor: Any) -> int:
            cursor.execute(_BEGIN, (moment(now_ms),))
            return epoch_ms(cursor.execute(_BEGAN).fetchone()[0])

        return self._pool.transact(work)

    def claim(self, alert_id: str, channel: str, message: str) -> bool:
        """Record an alert as sent on a channel; False if somebody else has."""
        given = (alert_id, channel, message)
        return self._pool.transact(lambda cursor: cursor.execute(_CLAIM, given).fetchone()) is not None

    def release(self, alert_id: str, channel: str) -> None:
        """Take a claim back: it could not be sent."""
        self._pool.transact(lambda cursor: cursor.execute(_RELEASE, (alert_id, channel)))

    def sent(self, limit: int) -> list[SentAlert]:
        """Return the newest sent alerts, newest first."""
        return [SentAlert(*row) for row in self._pool.query(lambda c: c.execute(_SENT, (limit,)).fetchall())]
