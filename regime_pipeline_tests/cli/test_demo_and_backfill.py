"""Tests of `regime demo` and `regime backfill`: the whole chain, as a user sees it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.cli import console
from regime_pipeline.cli.backfill import run_chain
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.demo import HISTORY_ASSETS, HISTORY_HOURS, SHOWN_HOURS
from regime_pipeline.settings import Settings
from regime_pipeline_tests.cli.fixtures import regime

pytestmark = pytest.mark.slow

MARKETS = """
[partitions]
start = 2026-09-01T00:00:00Z

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["15m", "1h"]
source = "simulated"
"""


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project home of two simulated markets."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "markets.toml").write_text(MARKETS, "utf-8")
    monkeypatch.setenv("REGIME_HOME", str(home))
    return home


def unwrapped(text: str) -> str:
    """The text on one line, whatever the width it was printed for."""
    return " ".join(text.split())


def test_demo_tells_its_stories_and_a_second_one_writes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REGIME_HOME", str(home))
    monkeypatch.setattr(console.out, "width", 60)
    assert regime(monkeypatch, "demo") == 0
    first = capsys.readouterr()
    assert regime(monkeypatch, "demo") == 0
    second = capsys.readouterr()

    partitions = 5 * (HISTORY_HOURS * len(HISTORY_ASSETS) + SHOWN_HOURS * len(STAGES))
    assert f"{partitions:,} hour partitions written, 0 unchanged" in unwrapped(first.err)
    again = re.search(r"([\d,]+) hour partitions written, ([\d,]+) unchanged", unwrapped(second.err))
    assert again is not None
    assert again[2] == f"{partitions:,}"
    assert again[1] in ("0", str(5 * len(STAGES))), "an hour may have closed in between"
    assert max(map(len, first.out.partition("Where to look next")[0].splitlines())) <= 60
    said = unwrapped(first.out)
    assert re.search(r"^Needs attention BRAVO-USDT_1h: \S+ is below its grid .* Advice: STOP_PLACING\.", said)
    assert "CHARLIE-USDT_1h: a restart is permitted until" in said
    assert re.search(r"stop placing orders came at \S+Z, 35 h before the price left the grid\. Of 1,000 USDT", said)
    assert re.search(r"Heeding it saved \d+\.\d\d USDT \(\d+\.\d%\)\.", said)
    assert "a verdict in 100% of the 336 shown hours or more; 4 of 5 were RANGE_OK" in said
    for named in ("site/index.html", "regime up", "regime status", "regime grid advice", "regime import"):
        assert named in said
    assert all((home / f"site/{symbol}-USDT_1h.html").exists() for symbol in ("ALFA", "BRAVO", "ECHO"))
    assert regime(monkeypatch, "doctor") == 0
    assert "no market lacks an hour" in unwrapped(capsys.readouterr().out)


def test_the_demo_leaves_another_projects_home_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regime(monkeypatch, "demo") == 2

    assert "holds a project of its own. Give the demo another home" in unwrapped(capsys.readouterr().err)
    assert (project / "markets.toml").read_text("utf-8") == MARKETS
    assert not (project / "postgres").exists()


def test_backfill_of_one_market_and_span(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["backfill", "--market", "ALFAUSDT_1h", "--start", "2026-09-01T02:00:00Z", "--end", "2026-09-01T05:00:00Z"]

    assert regime(monkeypatch, *words) == 0

    said = capsys.readouterr()
    assert "Backfilled 2026-09-01T02:00:00Z to 2026-09-01T05:00:00Z" in unwrapped(said.out)
    assert "24 hour partitions written, 0 unchanged, 0 of 1 markets failed." in unwrapped(said.err)
    assert f"Dashboard: open {project / 'site/index.html'}" in unwrapped(said.out)
    assert not (project / "snapshots/2026/09/01/05").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--market", "ETH-USDT_1h"], "ETH-USDT_1h is not in markets.toml (listed: ALFA-USDT_15m, ALFA-USDT_1h)"),
        (["--market", "ALFA-USDT"], "is not a market"),
        (["--start", "2026-08-01T00:00:00Z"], "is not inside the partitions"),
        (["--start", "2026-09-01"], "has no offset"),
        (["--end", "yesterday"], "is not a time"),
        (["--start", "2026-09-01T02:00:00Z", "--end", "2026-09-01T02:00:00Z"], "is not inside the partitions"),
    ],
)
def test_a_users_mistake_is_a_sentence_and_exit_code_2(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert regime(monkeypatch, "backfill", *words) == 2

    said = capsys.readouterr().err
    assert said.startswith("Error: ")
    assert says in said
    assert "Traceback" not in said
    assert not (project / "postgres").exists()


def test_a_market_that_fails_is_named_and_the_others_go_on(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory of the first market's snapshots stands where a file must be."""
    (project / "snapshots/2026/09/01/00/ALFA-USDT_15m.json").mkdir(parents=True)

    code = regime(monkeypatch, "backfill", "--end", "2026-09-01T01:00:00Z")

    said = unwrapped(capsys.readouterr().err)
    assert code == 3
    assert "ALFA-USDT_15m failed" in said
    assert "hourly_snapshots" in said
    assert "1 of 2 markets failed" in said
    settings = Settings()
    with open_workspace(settings) as workspace:
        start = read_universe(settings).start_ms
        rows = workspace.warehouse.read_range(
            "dashboard_hours", Market("ALFA-USDT", "1h"), Window(start, start + HOUR_MS)
        )
    assert len(rows["hour_start"]) == 1


def test_daily_partitions_run_the_same_chain(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIME_PARTITION", "day")
    settings = Settings()
    universe = read_universe(settings)

    (run,) = run_chain(settings, universe.markets[1:], Window(universe.start_ms, universe.start_ms + 24 * HOUR_MS))

    assert (run.is_success, run.written, run.unchanged) == (True, 24 * len(STAGES), 0)
