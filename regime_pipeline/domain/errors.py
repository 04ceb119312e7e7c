"""Errors a user can act on; each says what is wrong, where, and what to do.

Every expected failure of the package is a `RegimeError`; a bug is an ordinary exception.
"""

from __future__ import annotations


class RegimeError(Exception):
    """Base of every expected failure.

    Parameters
    ----------
    what : str
        What is wrong and where, in one sentence.
    todo : str, optional
        What the user can do about it.
    """

    def __init__(self, what: str, todo: str = "") -> None:
        self.what = what
        self.todo = todo
        super().__init__(f"{what} {todo}".strip())

    def __reduce__(self) -> tuple[type[RegimeError], tuple[str, str]]:
        """Pickle by the two sentences, so that the error crosses process borders whole."""
        return type(self), (self.what, self.todo)


class UsageError(RegimeError):
    """The user asked for something that cannot be asked (bad symbol, naive time, unknown timeframe)."""


class BadCandlesError(RegimeError):
    """Candles break an invariant (order, duplicates, high below low, non-finite or negative values)."""


class BadSnapshotError(RegimeError):
    """A snapshot file is damaged, inconsistent or lacks what it must hold."""


class MissingDataError(RegimeError):
    """Something that must exist is not there yet (candles, snapshots, upstream rows)."""


class SourceError(RegimeError):
    """A candle source failed; names the source, the market and the span."""


class StorageError(RegimeError):
    """The database or the snapshot store refused; names the operation and the remedy."""
