"""Keys of the HTTP API, hashed.

See `api.auth` for what a key permits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from regime_pipeline.storage.pool import ConnectionPool

_ADD_KEY: Final = "INSERT INTO api_key (key_id, name, scope, secret_hash) VALUES (%s, %s, %s, %s)"
_KEY: Final = "SELECT key_id, name, scope, secret_hash, created_at, revoked_at FROM api_key WHERE key_id = %s"
_KEYS: Final = (
    "SELECT key_id, name, scope, secret_hash, created_at, revoked_at FROM api_key ORDER BY created_at, key_id"
)
_REVOKE: Final = "UPDATE api_key SET revoked_at = now() WHERE key_id = %s AND revoked_at IS NULL"


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
    """API keys of one database; `Warehouse.access` gives one."""

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
