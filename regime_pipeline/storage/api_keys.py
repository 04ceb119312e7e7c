"""Keys of the HTTP API, hashed, and the requests of webhooks, each run once.

See `api.auth` for what a key permits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from regime_pipeline.storage.pool import ConnectionPool

_ADD_KEY: Final = "INSERT INTO api_key (key_id, name, scope, secret_hash) VALUES (%s, %s, %s, %s)"
_KEY: Final = "SELECT key_id, name, scope, secret_hash, created_at, revoked_at FROM api_key WHERE key_id = %s"
_KEYS: Final = (
    "SELECT key_id, name, scope, secret_hash, created_at, revoked_at FROM api_key ORDER BY created_at, key_id"
)
_REVOKE: Final = "UPDATE api_key SET revoked_at = now() WHERE key_id = %s AND revoked_at IS NULL"
_ASK: Final = (
    "INSERT INTO hook_request (request_id, question) VALUES (%s, %s) ON CONFLICT (request_id) DO NOTHING "
    "RETURNING request_id"
)
_ASKED: Final = "SELECT question::text, answer::text FROM hook_request WHERE request_id = %s"
_ANSWER: Final = "UPDATE hook_request SET answer = %s WHERE request_id = %s"
_FORGET: Final = "DELETE FROM hook_request WHERE request_id = %s AND answer IS NULL"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept: never its secret."""

    key_id: str
    name: str
    scope: str
    secret_hash: str
    created_at: datetime
    revoked_at: datetime | None


class AccessStore:
    """API keys and webhook requests of one database; `Warehouse.access` gives one."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def add_key(self, key_id: str, name: str, scope: str, secret_hash: str) -> None:
        """Store a key."""
        self._pool.transact(lambda cursor: cursor.execute(_ADD_KEY, (key_id, name, scope, secret_hash)))

    def key(self, key_id: str) -> StoredKey | None:
        """Return a key, revoked or not; None for an unknown one."""
        row = self._pool.query(lambda cursor: cursor.execute(_KEY, (key_id,)).fetchone())
        return None if row is None else StoredKey(*row)

    def keys(self) -> list[StoredKey]:
        """Return every key, oldest first."""
        return [StoredKey(*row) for row in self._pool.query(lambda cursor: cursor.execute(_KEYS).fetchall())]

    def revoke_key(self, key_id: str) -> bool:
        """Revoke a key; False if there is no such key in force."""
        return self._pool.transact(lambda cursor: cursor.execute(_REVOKE, (key_id,)).rowcount) == 1

    def ask(self, request_id: str, question: dict[str, Any]) -> bool:
        """Record a webhook request; False if it is there already."""
        text = orjson.dumps(question).decode()
        return self._pool.transact(lambda cursor: cursor.execute(_ASK, (request_id, text)).fetchone()) is not None

    def asked(self, request_id: str) -> tuple[dict[str, Any], dict[str, Any] | None] | None:
        """Return a request's question and its answer, None while there is none; None for an unknown request."""
        row = self._pool.query(lambda cursor: cursor.execute(_ASKED, (request_id,)).fetchone())
        if row is None:
            return None
        return orjson.loads(row[0]), None if row[1] is None else orjson.loads(row[1])

    def answer(self, request_id: str, answer: dict[str, Any]) -> None:
        """Record the answer to a request."""
        text = orjson.dumps(answer).decode()
        self._pool.transact(lambda cursor: cursor.execute(_ANSWER, (text, request_id)))

    def forget(self, request_id: str) -> None:
        """Drop a request that failed, so that it may be asked again."""
        self._pool.transact(lambda cursor: cursor.execute(_FORGET, (request_id,)))
