"""Dagster reports the partitions of a run in the order of their keys, so that the newest hour is the latest one.

Dagster keeps the keys of a range run in a Python set, whose order is random: after a backfill its UI would show some
old hour as the latest materialization.
"""

from __future__ import annotations

from collections.abc import Iterable

from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset


def report_in_order() -> None:
    """Have every subset of partitions list its keys in ascending order, in this process; again is once."""
    DefaultPartitionsSubset.get_partition_keys = _in_order  # type: ignore[method-assign, assignment]


def _in_order(subset: DefaultPartitionsSubset) -> Iterable[str]:
    return sorted(subset.subset)
