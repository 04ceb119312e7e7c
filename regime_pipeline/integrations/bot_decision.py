"""What a bot of another program does with the answers of the HTTP API: place orders or pause, how wide, in which range.

Pure, and of the standard library alone, so that files for other programs can carry it whole (`docs/hummingbot/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

ALARMS = ("TREND", "TRANSITION")
"""Verdicts after which only the restart gates, or whoever overrides them, start orders again."""
NO_VERDICT = "INSUFFICIENT_DATA"


@dataclass(frozen=True)
class DecisionPolicy:
    """What a bot's owner decides.

    Parameters
    ----------
    max_age_seconds : float
        Age of the newest verdict beyond which nothing is placed, whether the data or the API is late. A verdict is up
        to an hour old before the next one is due.
    weak_spread_factor : Decimal
        What spreads are multiplied by under RANGE_WEAK, at least 1.
    """

    max_age_seconds: float = 7_200.0
    weak_spread_factor: Decimal = Decimal("1.5")


@dataclass(frozen=True)
class Answers:
    """What the API said last, each part as its route gives it.

    Parameters
    ----------
    row : mapping, optional
        The market's row of `/api/overview`; None where the market is not stored.
    grid : mapping, optional
        `grid` of `/api/grids/{symbol}`; None where none is configured.
    gates : mapping, optional
        `current` of `/api/gates/{symbol}`; None while no stop is in force.
    reason : str
        Why the hour has its verdict, in one sentence; may be empty.
    """

    row: Mapping[str, Any] | None
    grid: Mapping[str, Any] | None = None
    gates: Mapping[str, Any] | None = None
    reason: str = ""


@dataclass(frozen=True)
class GridRange:
    """Where a grid's orders may stand; prices and amount in quote currency."""

    id: str
    start_price: Decimal
    end_price: Decimal
    limit_price: Decimal
    total_amount_quote: Decimal
    levels: int
    active: bool


@dataclass(frozen=True)
class Decision:
    """What to do until the next one.

    Parameters
    ----------
    is_active : bool
        New orders may be placed.
    reason : str
        Why, in a sentence for the log.
    spread_factor : Decimal
        What spreads are multiplied by.
    ranges : tuple of GridRange
        The configured grid, `active` where orders may be placed; empty where none is configured.
    ask : str
        What to ask of the API: "stop", so that the restart gates begin to count; "restart", to take the grid that they
        permit; empty for nothing.
    held_version : int, optional
        Version of the grid that an alarm paused: it is not started again, only a later one.
    """

    is_active: bool
    reason: str
    spread_factor: Decimal = Decimal(1)
    ranges: tuple[GridRange, ...] = ()
    ask: str = ""
    held_version: int | None = None


UNKNOWN = Decision(False, "Paused: the API has not answered yet.")


def decide(
    answers: Answers | None, now: float, was: Decision = UNKNOWN, policy: DecisionPolicy | None = None, error: str = ""
) -> Decision:
    """Return what to do now.

    Parameters
    ----------
    answers : Answers, optional
        The newest that were had, however old; None before the first.
    now : float
        Unix seconds of the caller's clock, which the age of the verdict is measured by.
    was : Decision
        The decision before, which carries what an alarm has paused.
    policy : DecisionPolicy, optional
        The shipped one if None.
    error : str
        Why the API did not answer this time; empty where it did. What it said before holds until it is too old.
    """
    rules = policy or DecisionPolicy()
    if answers is None:
        return Decision(False, f"Paused: {error or 'the API has not answered yet'}.", held_version=was.held_version)
    row = answers.row
    if row is None or row["known_at"] is None:
        return Decision(False, "Paused: the API has no verdict of this market.", held_version=was.held_version)
    held = _held(row, was)
    ask, why = _pause(answers, row, held, now, rules, error)
    is_active = not why
    factor = rules.weak_spread_factor if row["verdict"] == "RANGE_WEAK" else Decimal(1)
    reason = f"Paused: {why}" if why else f"Active: {_verdict(answers, row)}, spreads x {factor}."
    return Decision(is_active, reason, factor, _ranges(answers.grid, is_active), ask, held)


def _held(row: Mapping[str, Any], was: Decision) -> int | None:
    """The version that an alarm has paused, until a later one is enabled."""
    version = row.get("grid_version")
    if row["grid"] == "enabled" and row["verdict"] in ALARMS:
        return version if was.held_version is None else max(was.held_version, version or 0)
    return was.held_version if was.held_version is not None and (version or 0) <= was.held_version else None


def _pause(
    answers: Answers, row: Mapping[str, Any], held: int | None, now: float, rules: DecisionPolicy, error: str
) -> tuple[str, str]:
    """What to ask of the API, and why nothing is placed; both empty where something may be."""
    age = now - datetime.fromisoformat(row["known_at"]).timestamp()
    if age > rules.max_age_seconds:
        late = f"; {error}" if error else ""
        return (
            "",
            f"the newest verdict is {age / 60:.0f} minutes old, more than {rules.max_age_seconds / 60:.0f}{late}.",
        )
    if row["grid"] == "stopped":
        return _under_a_stop(answers.gates, row, now)
    if row["grid"] != "enabled":
        return "", f"no grid of {row['symbol']} is enabled at the API; `regime grid set` enables one."
    if row["verdict"] in ALARMS:
        return "stop", f"{_verdict(answers, row)}. The restart gates decide when to go on."
    if held is not None:
        return "stop", f"an alarm paused version {held} of the grid; the restart gates decide when to go on."
    if row["verdict"] == NO_VERDICT:
        return "", f"{_verdict(answers, row)}."
    if row["action"] == "STOP_PLACING" and not row["advice_stale"]:
        return "", f"the advice on the grid is STOP_PLACING; the price is {row['grid_position']} its bounds."
    return "", ""


def _under_a_stop(gates: Mapping[str, Any] | None, row: Mapping[str, Any], now: float) -> tuple[str, str]:
    until = row["permitted_until"]
    if until is not None and datetime.fromisoformat(until).timestamp() > now:
        return "restart", f"the restart gates permit a new grid until {until}."
    sentence = gates["sentence"] if gates else f"stopped {row['stopped_at']}; {row['gate_state']}."
    return "", sentence[:1].lower() + sentence[1:]


def _verdict(answers: Answers, row: Mapping[str, Any]) -> str:
    share = "" if row["confidence"] is None else f", confidence {row['confidence']:.0%}"
    reason = f" ({answers.reason.rstrip('.')})" if answers.reason else ""
    return f"{row['verdict']} since {row['since']}{share}{reason}"


def _ranges(grid: Mapping[str, Any] | None, is_active: bool) -> tuple[GridRange, ...]:
    if grid is None:
        return ()
    lower = Decimal(str(grid["lower"]))
    limit = grid.get("limit_lower")
    return (
        GridRange(
            id=f"v{grid['version']}",
            start_price=lower,
            end_price=Decimal(str(grid["upper"])),
            limit_price=Decimal(0) if limit is None else Decimal(str(limit)),
            total_amount_quote=Decimal(str(grid["allocation_quote"])),
            levels=int(grid["levels"]),
            active=is_active and bool(grid["enabled"]),
        ),
    )
