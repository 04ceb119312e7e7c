"""Tests of `guarded.backfill_ends`: what a retry left is seen before its backfill ends."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.execution import asset_backfill
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._core.test_utils import create_run_for_test

from regime_pipeline.pipeline.guarded.backfill_ends import EndedTwice

LOG = logging.getLogger(__name__)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run_of(instance: dg.DagsterInstance, backfill: str, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    return create_run_for_test(instance, status=status, tags={BACKFILL_ID_TAG: backfill})


def test_a_backfill_with_a_failed_run_ends_at_the_second_look(instance: dg.DagsterInstance) -> None:
    ended = EndedTwice(asset_backfill.backfill_runs_are_complete)
    run_of(instance, "one", dg.DagsterRunStatus.FAILURE)
    retry = run_of(instance, "one", dg.DagsterRunStatus.STARTED)
    assert not ended("one", instance, LOG)

    instance.report_run_canceled(retry)

    assert not ended("one", instance, LOG), "this look may have seen the tables of before the retry's end"
    assert ended("one", instance, LOG)
    assert not ended("one", instance, LOG), "the next end needs two looks again"


def test_a_look_that_finds_a_new_run_begins_again(instance: dg.DagsterInstance) -> None:
    ended = EndedTwice(asset_backfill.backfill_runs_are_complete)
    run_of(instance, "one", dg.DagsterRunStatus.FAILURE)
    assert not ended("one", instance, LOG)
    retry = run_of(instance, "one", dg.DagsterRunStatus.STARTED)
    assert not ended("one", instance, LOG)
    instance.report_run_canceled(retry)

    assert [ended("one", instance, LOG) for _ in range(2)] == [False, True]


def test_a_backfill_without_a_failed_run_ends_at_once(instance: dg.DagsterInstance) -> None:
    ended = EndedTwice(asset_backfill.backfill_runs_are_complete)
    run_of(instance, "other", dg.DagsterRunStatus.FAILURE)
    run_of(instance, "one", dg.DagsterRunStatus.SUCCESS)

    assert ended("one", instance, LOG)


def test_this_dagster_asks_as_expected() -> None:
    asked = inspect.signature(asset_backfill.backfill_runs_are_complete)
    assert list(asked.parameters) == ["backfill_id", "instance", "logger"]
    iteration = inspect.getsource(asset_backfill.execute_asset_backfill_iteration)
    assert "backfill_runs_are_complete(backfill.backfill_id, instance, logger)" in iteration
