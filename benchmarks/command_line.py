"""How long the commands take to answer, beside a Python that imports numpy.

Run `python -m benchmarks.command_line [--quick]`; it works in a temporary home with a running embedded database and
writes its section of `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.document import markdown_table, write_section
from benchmarks.rounds import interleaved

REGIME = [sys.executable, "-c", "from regime_pipeline.cli.app import main; main()"]
PEER = "python -c 'import numpy'"
WAYS = {
    PEER: ([sys.executable, "-c", "import numpy"], None),
    "`regime --help`": ([*REGIME, "--help"], 1.2),
    "`regime status`": ([*REGIME, "status"], 4.0),
}
MARKETS = """partitions = {start = 2026-01-01T00:00:00Z, end = 2026-01-15T00:00:00Z}

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["1h", "15m"]
source = "simulated"
"""
INTRODUCTION = """## The command line

`python -m benchmarks.command_line`: from the start of the process to its end, medians of {rounds} interleaved rounds,
in a home with two backfilled markets whose embedded database runs. 2 cores, {machine}, Python {python}, load average
{load:.1f}."""


def run(command: list[str], home: Path) -> None:
    environment = {**os.environ, "REGIME_HOME": str(home)}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(rounds: int) -> dict[str, float]:
    """Median seconds of each way."""
    with tempfile.TemporaryDirectory(prefix="regime-benchmark-") as folder:
        home = Path(folder)
        (home / "markets.toml").write_text(MARKETS, "utf-8")
        run([*REGIME, "db", "start"], home)
        try:
            run([*REGIME, "backfill"], home)
            return interleaved(rounds, {name: partial(run, command, home) for name, (command, _) in WAYS.items()})
        finally:
            run([*REGIME, "db", "stop", "--force"], home)


def report(medians: dict[str, float]) -> str:
    rows = [
        [name, f"{value * 1e3:.0f} ms", f"**{value / medians[PEER]:.2f}x**", f"<= {goal:g}x" if goal else ""]
        for (name, value), (_, goal) in zip(medians.items(), WAYS.values(), strict=True)
    ]
    return markdown_table(["command", "time", "of the peer's", "goal"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.command_line", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds; the page is left alone")
    is_quick = parser.parse_args().quick
    rounds = 3 if is_quick else 15
    table = report(measure(rounds))
    introduction = INTRODUCTION.format(
        rounds=rounds, machine=platform.machine(), python=platform.python_version(), load=os.getloadavg()[0]
    )
    print(table)
    if not is_quick:
        write_section("command_line", f"{introduction}\n\n{table}")


if __name__ == "__main__":
    main()
