"""One home, many hands: an import, a correction, a stop and a backfill at once; another account."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso, to_ms
from regime_pipeline.services.restarts import current_stop
from regime_pipeline.settings import Settings
from regime_pipeline_tests.factories import assert_same_bytes, dump

pytestmark = [pytest.mark.faults, pytest.mark.slow]

START = to_ms("2026-01-01T00:00:00Z")
SPAN = Window(START, START + 50 * DAY_MS)
MARKETS = f"""
[partitions]
start = {to_iso(SPAN.start_ms)}
end = {to_iso(SPAN.end_ms)}

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["1h"]
source = "simulated"
"""
FILED = Market("FILE-USDT", "1h")
RESTATED = slice(300, 330)
COMMAND = [sys.executable, "-P", "-c", "from regime_pipeline.cli.app import main; main()"]
ANOTHER = 65_534


def write_candles(path: Path, raised: float) -> None:
    """A walk of closes, those of some hours raised: an exchange's later word on them."""
    close = np.round(100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.004, len(SPAN)))), 2)
    close[RESTATED] = np.round(close[RESTATED] * raised, 2)
    rows = [f"{at},{c},{c + 0.5:.2f},{c - 0.5:.2f},{c},1" for at, c in zip(SPAN.hours.tolist(), close, strict=True)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]), "utf-8")


def files_of(home: Path) -> dict[Path, int]:
    """Files of a home with when they were written, but for the database's own."""
    return {
        path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file() and "postgres" not in path.parts
    }


def begin(home: Path, *words: str) -> subprocess.Popen[str]:
    """A command on a home, as a user types it in a terminal of its own."""
    environment = {**os.environ, "REGIME_HOME": str(home), "REGIME_MARKETS": str(home / "markets.toml")}
    return subprocess.Popen(
        [*COMMAND, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
    )


def end(command: subprocess.Popen[str]) -> str:
    said, _ = command.communicate(timeout=300)
    assert command.returncode == 0, f"{command.args}: {said[-2000:]}"
    return said


@pytest.mark.postgres
def test_an_import_a_correction_a_stop_and_a_backfill_at_once_end_as_one_after_the_other(
    make_home: Callable[..., Path], tmp_path: Path
) -> None:
    busy, quiet = make_home("busy"), make_home("quiet")
    for path, raised in ((tmp_path / "first.csv", 1.0), (tmp_path / "later.csv", 1.01)):
        write_candles(path, raised)
    for home in (busy, quiet):
        home.mkdir(exist_ok=True)
        (home / "markets.toml").write_text(MARKETS, "utf-8")
    end(begin(busy, "import", str(tmp_path / "first.csv"), "--market", str(FILED)))
    end(begin(busy, "backfill", "--end", to_iso(START + 20 * DAY_MS)))
    end(begin(busy, "grid", "set", FILED.symbol, "enabled=true", "--why", "begin"))

    at_once = [
        begin(busy, "backfill"),
        begin(busy, "import", str(tmp_path / "later.csv"), "--market", str(FILED), "--restate"),
        begin(busy, "import", str(tmp_path / "first.csv"), "--market", "MORE-USDT_1h"),
        begin(busy, "gates", "stop", FILED.symbol, "--why", "news"),
        begin(busy, "status"),
    ]
    for command in at_once:
        assert "Traceback" not in end(command)
    end(begin(busy, "backfill"))

    for name, file in ((FILED, "later.csv"), (FILED.key.replace("FILE", "MORE"), "first.csv")):
        end(begin(quiet, "import", str(tmp_path / file), "--market", str(name)))
    end(begin(quiet, "backfill"))
    with (
        open_workspace(Settings(home=busy, markets=busy / "markets.toml")) as one,
        open_workspace(Settings(home=quiet, markets=quiet / "markets.toml")) as other,
    ):
        for market in (Market("ALFA-USDT", "1h"), FILED, Market("MORE-USDT", "1h")):
            found = dump(one, market, SPAN)
            assert len(found["dashboard_hours"]["hour_start"]) == (SPAN.end_ms - SPAN.start_ms) // HOUR_MS
            assert_same_bytes(found, dump(other, market, SPAN))
        stop = current_stop(one, FILED.symbol)
        assert stop is not None
        assert stop.why == "news"


@pytest.mark.postgres
@pytest.mark.skipif(os.geteuid() != 0, reason="to run as another account")
def test_another_account_is_refused_in_a_sentence_and_changes_nothing(make_home: Callable[..., Path]) -> None:
    home = make_home("roots")
    home.mkdir(exist_ok=True)
    (home / "markets.toml").write_text(MARKETS, "utf-8")
    end(begin(home, "backfill", "--end", to_iso(START + DAY_MS)))
    before = files_of(home)
    environment = {"PATH": os.environ["PATH"], "REGIME_HOME": str(home), "HOME": "/", "NUMBA_DISABLE_JIT": "1"}

    for words in (("status",), ("backfill",), ("grid", "list")):
        try:
            done = subprocess.run(
                [*COMMAND, *words], env=environment, user=ANOTHER, group=ANOTHER, extra_groups=[], cwd="/",
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
        except PermissionError:
            pytest.skip("another account cannot reach this Python")
        if "No module named" in done.stderr:
            pytest.skip("another account cannot reach this package")
        assert done.returncode in (1, 2), done.stdout
        assert "Traceback" not in done.stderr
        assert str(home) in done.stderr.replace("\n", "")
    assert files_of(home) == before
