"""A backfill whose last retry succeeds ends as a success.

Dagster's daemon looks first at what is materialized and then at whether all runs have ended. Where a retry ends in
between, which takes seconds for a large backfill, its partitions count as failed, and so does the backfill, for good.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import dagster as dg
from dagster._core.storage.tags import BACKFILL_ID_TAG


class EndedTwice:
    """Dagster's question whether a backfill's runs have ended, answered with yes at the second look that finds it so.

    What that look saw materialized is what the runs have left. Where no run has failed the first look is enough.

    Parameters
    ----------
    have_ended : callable
        `backfill_runs_are_complete` of Dagster.
    """

    def __init__(self, have_ended: Callable[[str, dg.DagsterInstance, logging.Logger], bool]) -> None:
        self._have_ended = have_ended
        self._seen: set[str] = set()

    def __call__(self, backfill_id: str, instance: dg.DagsterInstance, logger: logging.Logger) -> bool:
        """Say whether all runs of the backfill had ended before this look began; once a look."""
        if not self._have_ended(backfill_id, instance, logger):
            self._seen.discard(backfill_id)
            return False
        failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags={BACKFILL_ID_TAG: backfill_id})
        if backfill_id not in self._seen and instance.get_run_ids(failed, limit=1):
            self._seen.add(backfill_id)
            return False
        self._seen.discard(backfill_id)
        return True
