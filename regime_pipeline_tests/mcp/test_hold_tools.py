"""Tests of the tool `hold_probability`: the service's answer, and refusals in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.hold import HoldQuery, hold_answer
from regime_pipeline_tests.mcp.fixtures import BTC, Desk, RefusalError

pytestmark = pytest.mark.postgres


def test_the_tool_says_what_the_service_says(desk: Desk, library: Workspace) -> None:
    close = hold_answer(library, BTC, HoldQuery())["close"]
    asked = {"lower": close * 0.96, "upper": close * 1.04, "hours": 48, "probability": 0.9}

    found, expected = (
        desk.ask("hold_probability", symbol="BTC-USDT", **asked),
        hold_answer(library, BTC, HoldQuery(**asked)),
    )

    assert found["hold_probability"] == round(expected["hold_probability"], 4)
    assert 0 < found["hold_probability"] < 1
    for name in ("symbol", "timeframe", "known_at", "close", "hours", "lower", "upper", "band", "model_hash"):
        assert found[name] == expected[name]
    assert desk.ask("hold_probability", symbol="BTCUSDT", timeframe="15m")["hold_probability"] is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lower": 5}, "both edges"),
        ({"lower": 5, "upper": 4}, "not a band of prices"),
        ({"hours": 500}, "hours is 500"),
        ({"probability": 80}, "probability is 80"),
        ({"lower": "cheap", "upper": 4}, "lower is 'cheap'"),
        ({"timeframe": "1d"}, "not stored on 1d"),
    ],
)
def test_a_bad_question_is_refused_in_a_sentence(desk: Desk, given: dict[str, Any], says: str) -> None:
    with pytest.raises(RefusalError, match=says):
        desk.ask("hold_probability", **{"symbol": "BTC-USDT", **given})
