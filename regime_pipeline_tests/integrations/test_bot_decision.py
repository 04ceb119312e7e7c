"""Tests of `integrations.bot_decision`: what each answer of the API makes a bot do, and what it says."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.integrations.bot_decision import UNKNOWN, Answers, Decision, DecisionPolicy, decide

KNOWN = to_ms("2026-09-18T12:00:00Z") / 1000
NOW = KNOWN + 300
GRID = {
    "version": 2, "enabled": True, "lower": "96", "upper": "104", "levels": 8, "limit_lower": "90",
    "allocation_quote": "5000",
}  # fmt: skip


def answers(config: dict[str, Any] | None = None, **row: Any) -> Answers:
    """An enabled grid in a good range, but for what is said."""
    usual = {
        "symbol": "ETH-USDT", "verdict": "RANGE_OK", "confidence": 0.873, "since": "2026-09-17T05:00:00Z",
        "known_at": "2026-09-18T12:00:00Z", "grid": "enabled", "grid_version": 2, "grid_position": "inside",
        "action": "KEEP", "advice_stale": None, "stopped_at": None, "gate_state": None, "permitted_until": None,
    }  # fmt: skip
    return Answers(usual | row, GRID | (config or {}), None, "It ranges.")


def test_a_good_range_is_traded_in_the_bounds_of_the_grid() -> None:
    found = decide(answers(), NOW)

    assert found.is_active
    assert found.reason == ("Active: RANGE_OK since 2026-09-17T05:00:00Z, confidence 87% (It ranges), spreads x 1.")
    (only,) = found.ranges
    assert (only.id, only.start_price, only.end_price, only.limit_price) == (
        "v2",
        Decimal(96),
        Decimal(104),
        Decimal(90),
    )
    assert (only.total_amount_quote, only.levels, only.active) == (Decimal(5000), 8, True)


def test_a_weak_range_is_traded_wider() -> None:
    found = decide(answers(verdict="RANGE_WEAK"), NOW, policy=DecisionPolicy(weak_spread_factor=Decimal(2)))

    assert (found.is_active, found.spread_factor) == (True, Decimal(2))
    assert found.reason.endswith("spreads x 2.")


@pytest.mark.parametrize("alarm", ["TREND", "TRANSITION"])
def test_an_alarm_pauses_and_asks_for_the_stop(alarm: str) -> None:
    found = decide(answers(verdict=alarm), NOW)

    assert (found.is_active, found.ask, found.held_version) == (False, "stop", 2)
    assert found.reason.startswith(f"Paused: {alarm} since 2026-09-17T05:00:00Z, confidence 87%")
    assert found.reason.endswith("The restart gates decide when to go on.")
    assert not found.ranges[0].active


def test_a_verdict_that_ranges_again_does_not_end_the_pause() -> None:
    alarmed = decide(answers(verdict="TREND"), NOW)

    found = decide(answers(), NOW, alarmed)

    assert (found.is_active, found.ask, found.held_version) == (False, "stop", 2)
    assert "an alarm paused version 2" in found.reason


def test_under_a_stop_nothing_is_placed_and_the_gates_say_why() -> None:
    alarmed = decide(answers(verdict="TREND"), NOW)
    gates = {"sentence": "Stopped 2026-09-18T10:00:00Z by bot; gate 1 of 3."}
    stopped = answers(grid="stopped", grid_version=3, stopped_at="2026-09-18T10:00:00Z", gate_state="GATE_1")

    found = decide(replace(stopped, gates=gates), NOW, alarmed)

    assert (found.is_active, found.ask, found.held_version) == (False, "", None)
    assert found.reason == "Paused: stopped 2026-09-18T10:00:00Z by bot; gate 1 of 3."
    assert "GATE_1" in decide(stopped, NOW, alarmed).reason


@pytest.mark.parametrize(("until", "ask"), [("2026-09-18T18:00:00Z", "restart"), ("2026-09-18T12:04:00Z", "")])
def test_a_permission_is_taken_while_it_lasts(until: str, ask: str) -> None:
    stopped = answers(grid="stopped", stopped_at="2026-09-18T10:00:00Z", gate_state="PERMITTED", permitted_until=until)

    found = decide(stopped, NOW)

    assert (found.is_active, found.ask) == (False, ask)


def test_a_later_version_of_the_grid_goes_on() -> None:
    alarmed = decide(answers(verdict="TREND"), NOW)

    found = decide(answers({"version": 4, "lower": "111", "upper": "119"}, grid_version=4), NOW, alarmed)

    assert (found.is_active, found.held_version) == (True, None)
    assert (found.ranges[0].id, found.ranges[0].start_price) == ("v4", Decimal(111))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"grid": "disabled"}, "no grid of ETH-USDT is enabled"),
        ({"grid": "none"}, "no grid of ETH-USDT is enabled"),
        ({"verdict": "INSUFFICIENT_DATA"}, "INSUFFICIENT_DATA since"),
        ({"action": "STOP_PLACING", "grid_position": "above"}, "the price is above its bounds"),
        ({"known_at": None}, "no verdict of this market"),
    ],
)
def test_what_else_pauses(row: dict[str, Any], words: str) -> None:
    found = decide(answers(**row), NOW)

    assert not found.is_active
    assert found.ask == ""
    assert words in found.reason


def test_advice_on_an_older_version_is_not_followed() -> None:
    assert decide(answers(action="STOP_PLACING", advice_stale="Older than the newest version."), NOW).is_active


def test_what_was_said_holds_until_it_is_too_old() -> None:
    policy = DecisionPolicy(max_age_seconds=7_200)
    error = "http://127.0.0.1:8000 does not answer: refused"

    young = decide(answers(), KNOWN + 7_200, policy=policy, error=error)
    old = decide(answers(), KNOWN + 7_260, policy=policy, error=error)

    assert young.is_active
    assert not old.is_active
    assert old.reason == f"Paused: the newest verdict is 121 minutes old, more than 120; {error}."


def test_before_the_first_answer_nothing_is_placed() -> None:
    assert not UNKNOWN.is_active
    assert decide(None, NOW).reason == "Paused: the API has not answered yet."
    assert decide(None, NOW, error="it does not answer").reason == "Paused: it does not answer."
    assert "no verdict of this market" in decide(Answers(None), NOW).reason


def test_no_silence_makes_a_bot_forget_an_alarm() -> None:
    alarmed = decide(answers(verdict="TREND"), NOW)

    after: Decision = alarmed
    for known in (None, Answers(None), answers(verdict="RANGE_OK")):
        after = decide(known, NOW, after)
        assert (after.is_active, after.held_version) == (False, 2)
