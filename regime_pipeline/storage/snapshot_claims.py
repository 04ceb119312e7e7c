"""Which snapshot store belongs to a database, so that a run on a machine without the shared folder writes nothing.

The same mark is in the table `snapshot_store` and in the store; the first run of an installation puts it there.
"""

from __future__ import annotations

import uuid

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.pool import ConnectionPool, Cursor
from regime_pipeline.storage.snapshots.store import SnapshotStore

_CLAIM = "INSERT INTO snapshot_store (mark) VALUES (%s) ON CONFLICT DO NOTHING RETURNING mark"
_READ = "SELECT mark FROM snapshot_store"
_ADOPT = """INSERT INTO snapshot_store (mark) VALUES (%s)
ON CONFLICT (is_only) DO UPDATE SET mark = EXCLUDED.mark, claimed_at = now()"""


class SnapshotClaims:
    """The table `snapshot_store`: one row, or none before the first run.

    Parameters
    ----------
    pool : ConnectionPool
        Where the table is.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def require(self, store: SnapshotStore) -> None:
        """Make sure that a store is the database's; the first one that is asked about becomes it.

        Raises
        ------
        StorageError
            The store has no mark or another's; names it, and what to do.
        """
        mark = store.mark()
        held = self._pool.query(lambda cursor: cursor.execute(_READ).fetchone())
        if held is None or mark != held[0]:
            self._pool.transact(lambda cursor: _claim(cursor, store, mark))

    def adopt(self, store: SnapshotStore) -> None:
        """Make a store the database's, whatever it was before; for stores that were moved or begun again.

        Raises
        ------
        StorageError
            The database or the store refused.
        """
        mark = store.mark() or store.put_mark(uuid.uuid4().hex)
        self._pool.transact(lambda cursor: cursor.execute(_ADOPT, (mark,)))


def _claim(cursor: Cursor, store: SnapshotStore, mark: str | None) -> None:
    """Claim a store whose database has none yet; whoever loses the race waits here for the winner's commit."""
    wanted = mark or uuid.uuid4().hex
    if cursor.execute(_CLAIM, (wanted,)).fetchone() is not None:
        store.put_mark(wanted)
        return
    held, found = cursor.execute(_READ).fetchone(), store.mark()
    if held is None or found != held[0]:
        whose = "have no mark, so they are not those of this database" if found is None else "are another database's"
        raise StorageError(
            f"The snapshots in {store.root} {whose}.",
            "Mount the folder that the other machines share there, or set REGIME_SNAPSHOT_ROOT; if they are the right "
            "ones, moved or begun again, say so with `regime db adopt-snapshots`.",
        )
