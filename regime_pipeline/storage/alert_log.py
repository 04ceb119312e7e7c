"""Which alerts were sent on which channel, which are being sent, and since when alerts are sent at all.

See `services.alerts` for what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from regime_pipeline.storage.bulk.statements import epoch_ms, moment
from regime_pipeline.storage.pool import ConnectionPool

CLAIM_S: Final = 300
"""How long a claim holds, seconds: longer than any channel may take, so that only a sender that has died loses it."""
_CLAIM: Final = (
    "INSERT INTO alert_log AS old (alert_id, channel, message) VALUES (%s, %s, %s) "
    "ON CONFLICT (alert_id, channel) DO UPDATE SET claimed_at = now(), message = excluded.message "
    "WHERE old.sent_at IS NULL AND old.claimed_at <= now() - make_interval(secs => %s) RETURNING alert_id"
)
_SETTLE: Final = "UPDATE alert_log SET sent_at = now() WHERE alert_id = %s AND channel = %s"
_RELEASE: Final = "DELETE FROM alert_log WHERE alert_id = %s AND channel = %s AND sent_at IS NULL"
_BEGIN: Final = (
    "INSERT INTO alert_log (alert_id, channel, message, sent_at) VALUES ('', '', 'alerts began', %s) "
    "ON CONFLICT (alert_id, channel) DO NOTHING"
)
_BEGAN: Final = "SELECT sent_at FROM alert_log WHERE alert_id = '' AND channel = ''"
_SENT: Final = (
    "SELECT alert_id, channel, message, sent_at FROM alert_log WHERE alert_id <> '' AND sent_at IS NOT NULL "
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
        """Claim the sending of an alert on a channel; False if it was sent, or somebody is sending it.

        Notes
        -----
        A claim that is neither settled nor released in `CLAIM_S` is another's: whoever made it has died.
        """
        given = (alert_id, channel, message, CLAIM_S)
        return self._pool.transact(lambda cursor: cursor.execute(_CLAIM, given).fetchone()) is not None

    def settle(self, alert_id: str, channel: str) -> None:
        """Record a claimed alert as sent."""
        self._pool.transact(lambda cursor: cursor.execute(_SETTLE, (alert_id, channel)))

    def release(self, alert_id: str, channel: str) -> None:
        """Take a claim back: it could not be sent."""
        self._pool.transact(lambda cursor: cursor.execute(_RELEASE, (alert_id, channel)))

    def sent(self, limit: int) -> list[SentAlert]:
        """Return the newest sent alerts, newest first."""
        return [SentAlert(*row) for row in self._pool.query(lambda c: c.execute(_SENT, (limit,)).fetchall())]
