"""Tests of `services.alerts.delivery`: over HTTP to receivers on the loopback, once, in quiet hours later."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.retry import RetryPolicy
from regime_pipeline.services.alerts.delivery import Send, due_alerts, sender, tell
from regime_pipeline.services.alerts.events import Alert
from regime_pipeline.services.alerts.rules import AlertRules, Channel
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import stop_grid
from regime_pipeline.services.webhooks import signature
from regime_pipeline.storage.alert_log import CLAIM_S
from regime_pipeline_tests.services.alerts.market import ALFA, END, HOURS, alfa, change, receiver

SECRET = "s3cret"
SEND: Send = sender(SECRET, lambda: RetryPolicy(lambda _: None, lambda: 0.5, lambda: 0.0, 0.0))
RUN = Alert("failed_run 1", "failed_run", None, END, "The run 1 failed.")


@pytest.fixture
def ws(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with alfa(database_url, tmp_path) as opened:
        change(opened, "regime_verdicts", 44, HOURS, verdict="TREND", confidence=0.4)
        stop_grid(opened, ALFA.symbol, who="ada", why="news")
        yield opened


def rules(*channels: dict[str, str], quiet: dict[str, Any] | None = None, **rule: Any) -> AlertRules:
    named = [channel["name"] for channel in channels]
    return AlertRules.model_validate({"channels": channels, "rules": [{"channels": named, **rule}], "quiet": quiet})


def test_webhooks_get_signed_json_and_apprise_its_message(ws: Workspace) -> None:
    with receiver() as (hook, signed), receiver() as (chat, messages):
        given = rules({"name": "hook", "webhook": f"http://{hook}/in"}, {"name": "chat", "apprise": f"json://{chat}/"})
        sent, failures = tell(ws, due_alerts(ws, given, [RUN]), SEND)
        again = tell(ws, due_alerts(ws, given, [RUN]), SEND)

    assert (sent, failures, again) == (6, [], (0, []))
    assert [body["message"] for _, body in messages] == [body["message"] for _, body in signed]
    assert [body["event"] for _, body in signed] == ["verdict", "failed_run", "stop"]
    headers, body = signed[0]
    assert body == {
        "event": "verdict",
        "id": "verdict ALFA-USDT_1h 2026-09-02T20:00:00Z TREND",
        "symbol": "ALFA-USDT",
        "timeframe": "1h",
        "time": "2026-09-02T21:00:00Z",
        "message": "ALFA-USDT 1h: RANGE_OK became TREND at 2026-09-02T21:00:00Z, confidence 0.40.",
    }
    assert headers["x-regime-signature"] == signature(orjson.dumps(body), SECRET)
    assert headers["x-regime-delivery"] == body["id"]
    assert signed[1][1]["symbol"] is None
    assert {alert.channel for alert in ws.warehouse.alerts.sent(100)} == {"hook", "chat"}
    assert [alert.message for alert in ws.warehouse.alerts.sent(1)] == [signed[-1][1]["message"]]


def test_what_is_not_taken_is_sent_again_and_the_rest_goes_on(ws: Workspace) -> None:
    with receiver(503) as (hook, got), receiver() as (other, fine):
        given = rules({"name": "hook", "webhook": f"http://{hook}"}, {"name": "other", "webhook": f"http://{other}"})
        sent, failures = tell(ws, due_alerts(ws, given), SEND)
        retried = tell(ws, due_alerts(ws, given), SEND)

    assert sent == len(fine) == 2
    assert len(failures) == 1
    assert failures[0].startswith("hook: The webhook for verdict ALFA-USDT_1h")
    assert retried == (2, [])
    assert [body["event"] for _, body in got] == ["verdict", "verdict", "stop"]


def test_two_daemons_send_a_thing_once(ws: Workspace) -> None:
    told: list[str] = []
    due = due_alerts(ws, rules({"name": "a", "apprise": "json://x"}))
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: tell(ws, due, lambda _, alert: told.append(alert.alert_id))[0], range(8)))
    assert sum(counts) == len(told) == len(set(told)) == 2


def test_what_a_killed_process_was_sending_is_sent_when_its_claim_has_run_out(ws: Workspace) -> None:
    due = due_alerts(ws, rules({"name": "a", "apprise": "json://x"}))
    told: list[str] = []

    def send(_: Channel, alert: Alert) -> None:
        told.append(alert.event)

    child = os.fork()
    if not child:
        try:
            tell(ws, due, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert ws.warehouse.alerts.sent(10) == []

    assert tell(ws, due, send) == (1, [])
    assert told == ["stop"]  # the other is claimed
    age_claims(ws, CLAIM_S - 10)
    assert tell(ws, due, send) == (0, [])
    age_claims(ws, 10)
    assert tell(ws, due, send) == (1, [])
    assert told == ["stop", "verdict"]
    age_claims(ws, 10 * CLAIM_S)
    assert tell(ws, due, send) == (0, [])
    assert {alert.message for alert in ws.warehouse.alerts.sent(10)} == {alert.message for alert, _ in due}


def test_an_error_that_nobody_foresaw_loses_no_alert_either(ws: Workspace) -> None:
    due = due_alerts(ws, rules({"name": "a", "apprise": "json://x"}))

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tell(ws, due, broken)
    age_claims(ws, CLAIM_S)
    assert tell(ws, due, lambda *_: None) == (2, [])


def age_claims(ws: Workspace, seconds: int) -> None:
    with psycopg.connect(ws.warehouse.url) as connection:
        connection.execute("UPDATE alert_log SET claimed_at = claimed_at - make_interval(secs => %s)", (seconds,))


def test_quiet_hours_make_alerts_wait_but_for_the_urgent(ws: Workspace) -> None:
    quiet = {"start": "22:00", "end": "07:00", "timezone": "UTC"}
    given = rules({"name": "a", "apprise": "json://x"}, quiet=quiet, events=["verdict", "stop"])
    told: list[str] = []

    def send(_: Channel, alert: Alert) -> None:
        told.append(alert.event)

    tell(ws, due_alerts(ws, given), send)
    assert told == ["stop"]
    morning = replace(ws, clock=lambda: END + 7 * HOUR_MS)
    tell(morning, due_alerts(morning, given), send)
    assert told == ["stop", "verdict"]


def test_rules_choose_and_overlapping_ones_send_once(ws: Workspace) -> None:
    channels = [{"name": "a", "apprise": "json://x"}]
    listed = [
        {"channels": ["a"], "markets": ["ALFA-USDT_*"], "events": ["stop"]},
        {"channels": ["a"], "events": ["stop", "failed_run"]},
        {"channels": ["a"], "markets": ["BRAVO-USDT_1h"], "events": ["verdict"]},
    ]
    given = AlertRules.model_validate({"channels": channels, "rules": listed})
    assert [alert.event for alert, _ in due_alerts(ws, given, [RUN])] == ["failed_run", "stop"]


def test_what_happened_before_alerts_began_or_over_a_day_ago_is_history(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = rules({"name": "a", "apprise": "json://x"}, events=["verdict"])
    assert len(due_alerts(ws, given)) == 1
    late = replace(ws, clock=lambda: END + 22 * HOUR_MS)
    assert due_alerts(late, given) == []
    monkeypatch.setattr(ws.warehouse.alerts, "began_ms", lambda now: now)
    assert due_alerts(ws, given) == []


def test_alerts_begin_with_the_first_look(ws: Workspace) -> None:
    assert ws.warehouse.alerts.began_ms(END) == ws.warehouse.alerts.began_ms(END + 1) < END


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        ({"apprise": "gopher://x"}, "not one that apprise knows"),
        ({"apprise": "json://127.0.0.1:1/"}, "did not take the message"),
        ({"webhook": "http://127.0.0.1:1/"}, "The webhook for"),
    ],
)
def test_a_channel_that_fails_says_why(ws: Workspace, channel: dict[str, str], says: str) -> None:
    given = rules({"name": "a", **channel})
    sent, (failure,) = tell(ws, due_alerts(ws, given), SEND)
    assert sent == 0
    assert says in failure
    assert ws.warehouse.alerts.sent(10) == []


def test_a_webhook_without_a_secret_and_a_channel_without_apprise_say_what_to_do(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsigned = sender("", lambda: RetryPolicy(lambda _: None, lambda: 0.5, lambda: 0.0, 0.0))
    given = rules({"name": "a", "webhook": "http://127.0.0.1:1/"})
    assert "REGIME_HOOK_SECRET must be set" in tell(ws, due_alerts(ws, given), unsigned)[1][0]

    monkeypatch.setitem(sys.modules, "apprise", None)
    given = rules({"name": "a", "apprise": "json://x"})
    assert "pip install 'regime-pipeline[alerts]'" in tell(ws, due_alerts(ws, given), SEND)[1][0]
