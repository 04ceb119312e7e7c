"""Tests of `services.alerts.rules`: the file read, quiet hours in any zone, and every mistake named with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.alerts.rules import EVENTS, AlertRules, Quiet, load_rules
from regime_pipeline_tests.conftest import REPOSITORY

MARKETS = (Market("BTC-USDT", "1h"), Market("BTC-USDT", "15m"), Market("ETH-USDT", "1h"))
PHONE = '[[channels]]\nname = "phone"\napprise = "ntfy://secret-topic"\n'
RULE = '[[rules]]\nchannels = ["phone"]\n'


def load(folder: Path, text: str) -> AlertRules:
    file = folder / "alerts.toml"
    file.write_text(text, "utf-8")
    return load_rules(file, MARKETS)


def test_without_a_file_there_are_no_rules(tmp_path: Path) -> None:
    assert load_rules(tmp_path / "none.toml", MARKETS) == AlertRules()


def test_rules_choose_markets_events_and_channels(tmp_path: Path) -> None:
    rules = load(
        tmp_path, PHONE + RULE + '[[rules]]\nchannels = ["phone"]\nmarkets = ["BTC-USDT_*"]\nevents = ["stop"]'
    )
    every, some = rules.rules

    assert (every.events, every.stale_minutes) == (EVENTS, 120)
    assert [every.is_about(market) for market in MARKETS] == [True] * 3
    assert [some.is_about(market) for market in MARKETS] == [True, True, False]
    assert rules.channel("phone").apprise == "ntfy://secret-topic"
    assert "secret" not in repr(rules)


def test_the_documented_file_is_sound(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "operate.md").read_text("utf-8")
    (example,) = [block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[[channels]]" in block]
    rules = load(tmp_path, example)

    assert [channel.name for channel in rules.channels] == ["phone", "desk"]
    assert rules.quiet is not None
    assert rules.quiet.urgent == Quiet(start="22:00", end="07:00").urgent
    assert [rule.stale_minutes for rule in rules.rules] == [120, 180]
    for event in EVENTS:
        assert f"| `{event}` |" in page


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PHONE + '[[rules]]\nchannels = ["fone"]', "a rule names the channel 'fone', which is none of ['phone']."),
        (PHONE + PHONE, "two channels have the name 'phone'."),
        (PHONE + RULE + 'events = ["verdit"]', "rules 1 events 1: input should be 'verdict', 'stop'"),
        (PHONE + RULE + 'market = ["x"]', "rules 1 market: extra inputs are not permitted."),
        (PHONE + RULE + "events = []", "rules 1 events: tuple should have at least 1 item"),
        (PHONE + RULE + "stale_minutes = 0", "rules 1 stale_minutes: input should be greater than or equal to 1."),
        (PHONE + RULE + 'markets = ["DOGE-USDT_1h"]', "market 'DOGE-USDT_1h' matches none of markets.toml. Write one"),
        ('[[channels]]\nname = "a"', "channels 1: give either webhook or apprise."),
        ('[[channels]]\nname = "a"\nwebhook = "ftp://x"', "channels 1 webhook: string should match pattern"),
        ('[quiet]\nstart = "25:00"\nend = "07:00"', "quiet start: string should match pattern"),
        ('[quiet]\nstart = "07:00"\nend = "07:00"', "quiet: start and end are the same."),
        ('[quiet]\nstart = "22:00"\nend = "07:00"\ntimezone = "Mars"', "quiet timezone: 'Mars' is not a time zone"),
        ("[[channels", "cannot be read"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert says in str(refused.value)
    assert str(tmp_path / "alerts.toml") in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("start", "end", "timezone", "moment", "is_quiet"),
    [
        ("22:00", "07:00", "UTC", "2026-09-01T21:59:59Z", False),
        ("22:00", "07:00", "UTC", "2026-09-01T22:00:00Z", True),
        ("22:00", "07:00", "UTC", "2026-09-02T06:59:59Z", True),
        ("22:00", "07:00", "UTC", "2026-09-02T07:00:00Z", False),
        ("12:00", "13:00", "UTC", "2026-09-02T12:30:00Z", True),
        ("12:00", "13:00", "UTC", "2026-09-02T13:00:00Z", False),
        ("22:00", "07:00", "Europe/Berlin", "2026-09-01T20:30:00Z", True),
        ("22:00", "07:00", "Europe/Berlin", "2026-12-01T20:30:00Z", False),
        ("02:00", "03:00", "Europe/Berlin", "2026-10-25T00:30:00Z", True),  # an hour that happens twice
        ("02:00", "03:00", "Europe/Berlin", "2026-10-25T01:30:00Z", True),
        ("02:00", "03:00", "Europe/Berlin", "2026-03-29T01:30:00Z", False),  # an hour that does not happen
    ],
)
def test_quiet_hours_hold_in_their_zone(start: str, end: str, timezone: str, moment: str, is_quiet: bool) -> None:
    quiet = Quiet(start=start, end=end, timezone=timezone)
    assert quiet.holds("verdict", to_ms(moment)) == is_quiet
    assert not quiet.holds("stop", to_ms(moment))
