"""Policies by the hash of the rows that were decided under them, so that old rows can be explained.

See `services.explanations` for what is made of them.
"""

from __future__ import annotations

from typing import Any

import orjson

from regime_pipeline.storage.pool import ConnectionPool

_RECORD = "INSERT INTO policy (policy_hash, document) VALUES (%s, %s::jsonb) ON CONFLICT (policy_hash) DO NOTHING"
_READ = "SELECT document FROM policy WHERE policy_hash = %s"


class PolicyStore:
    """The table `policy`: append-only, one document a hash.

    Parameters
    ----------
    pool : ConnectionPool
        Where the table is.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._documents: dict[str, dict[str, Any]] = {}

    def record(self, policy_hash: str, document: dict[str, Any]) -> None:
        """Keep the policy behind a hash; a hash that is on record keeps the document it has.

        Raises
        ------
        StorageError
            The database refused.
        """
        if policy_hash in self._documents:
            return
        text = orjson.dumps(document).decode()
        self._pool.query(lambda cursor: cursor.execute(_RECORD, (policy_hash, text)))
        self._documents[policy_hash] = document

    def document(self, policy_hash: str) -> dict[str, Any] | None:
        """Return the policy behind a hash as it was recorded, None where none is.

        Raises
        ------
        StorageError
            The database refused.
        """
        if policy_hash not in self._documents:
            row = self._pool.query(lambda cursor: cursor.execute(_READ, (policy_hash,)).fetchone())
            if row is None:
                return None
            self._documents[policy_hash] = row[0]
        return self._documents[policy_hash]
