"""Tests of `guarded.retries`: a run is retried once its code server is back, and only once."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.errors import DagsterInvalidSubsetError, DagsterUserCodeUnreachableError
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.instance.runs.run_domain import RunDomain
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.auto_run_reexecution import auto_run_reexecution, event_log_consumer

from regime_pipeline.pipeline.guarded.retries import NOTHING_LEFT, PATIENCE_S, PatientRetries


class Desk:
    """A daemon of retries on an instance of its own, a clock, and what it launched."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.now, self.launched = instance, 0.0, list[str]()
        self.away: Exception | None = None
        self.away_for = dict[str, Exception]()
        self.daemon = PatientRetries(lambda: self.now)

    def tick(self) -> None:
        for _ in self.daemon.run_iteration(cast("IWorkspaceProcessContext", SimpleNamespace(instance=self.instance))):
            pass

    def fail(self) -> str:
        """A run that has failed."""
        run = create_run_for_test(self.instance, status=dg.DagsterRunStatus.STARTED)
        self.instance.report_dagster_event(
            DagsterEvent(DagsterEventType.RUN_FAILURE.value, run.job_name, message="lost"), run.run_id
        )
        return run.run_id

    def retry(self, run: dg.DagsterRun, _: Any) -> None:
        """Launch it again where the code server answers; Dagster's own does so once."""
        away = self.away_for.get(run.run_id, self.away)
        if away is not None:
            raise away
        if AUTO_RETRY_RUN_ID_TAG not in run.tags:
            self.launched.append(run.run_id)
            self.instance.add_run_tags(run.run_id, {AUTO_RETRY_RUN_ID_TAG: "the next"})

    def is_given_up(self, run_id: str) -> bool:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.tags[WILL_RETRY_TAG] == "false"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    settings = {"run_retries": {"enabled": True, "max_retries": 5}}
    with dg.DagsterInstance.ephemeral(settings=settings) as instance:
        made = Desk(instance)
        monkeypatch.setattr(auto_run_reexecution, "retry_run", made.retry)
        event_log_consumer._persist_cursors(instance, dict.fromkeys(event_log_consumer.DAGSTER_EVENT_TYPES, 0))
        yield made


@pytest.mark.parametrize("error", [DagsterUserCodeUnreachableError("UNAVAILABLE"), ConnectionError("starting up")])
def test_a_run_waits_for_what_is_away_and_is_launched_once(desk: Desk, error: Exception) -> None:
    first, second = desk.fail(), desk.fail()
    desk.away = error
    for _ in range(3):
        desk.tick()
        desk.now += PATIENCE_S / 4
    assert desk.launched == []
    assert not desk.is_given_up(first)
    assert not desk.is_given_up(second)

    desk.away = None
    for _ in range(3):
        desk.tick()

    assert sorted(desk.launched) == sorted([first, second])


@pytest.mark.parametrize("place", [0, 1])
def test_a_run_that_waits_holds_up_no_other(desk: Desk, place: int) -> None:
    runs = [desk.fail(), desk.fail()]
    desk.away_for[runs[place]] = ConnectionError("its code server is another one")
    desk.tick()
    assert desk.launched == [runs[1 - place]]

    desk.away_for.clear()
    desk.tick()
    assert desk.launched == [runs[1 - place], runs[place]]


def test_a_run_of_which_nothing_is_left_to_do_is_not_waited_for(desk: Desk) -> None:
    """It was killed between its last step and its own end."""
    done, other = desk.fail(), desk.fail()
    desk.away_for[done] = DagsterInvalidSubsetError("No steps needed to be retried in the failed run.")

    for _ in range(2):
        desk.tick()

    assert desk.launched == [other]
    assert desk.is_given_up(done)
    said = [entry.message for entry in desk.instance.all_logs(done, of_type=DagsterEventType.ENGINE_EVENT)]
    assert said == [NOTHING_LEFT]


def test_after_an_hour_a_run_is_given_up_and_the_next_one_waits_as_long(desk: Desk) -> None:
    run = desk.fail()
    desk.away = DagsterUserCodeUnreachableError("UNAVAILABLE")
    desk.tick()
    desk.now += PATIENCE_S
    desk.tick()
    assert desk.is_given_up(run)

    later = desk.fail()
    desk.tick()
    assert not desk.is_given_up(later)


@pytest.mark.filterwarnings("ignore:The 'warn' method:DeprecationWarning")
def test_a_new_home_s_first_tick_is_quiet_and_a_waiting_run_is_not(caplog: pytest.LogCaptureFixture) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        desk = Desk(instance)
        desk.daemon._logger.propagate = True
        desk.tick()
        assert caplog.messages == []
        desk.daemon._logger.warning("A lost run waits")
        assert caplog.messages == ["A lost run waits"]


def test_this_dagster_s_daemon_makes_the_calls_that_are_replaced() -> None:
    assert "handle_updated_runs_fns" in event_log_consumer.EventLogConsumerDaemon.run_iteration.__code__.co_names
    assert "retry_run" in auto_run_reexecution.consume_new_runs_for_automatic_reexecution.__code__.co_names
    assert DagsterInvalidSubsetError.__name__ in RunDomain.create_reexecuted_run.__code__.co_names
