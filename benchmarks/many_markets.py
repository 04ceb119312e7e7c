"""What an hour of many markets costs: one run of the whole chain with its checks, in process, by number of markets.

Run `python -m benchmarks.many_markets [--quick] [--home FOLDER] [--before FOLDER]`; it writes its section of
`docs/benchmarks.md`. `--before` is a checkout of an earlier version, which takes turns with this one; `--home` keeps
the history (200 markets take a while to fill), so that a later run finds it there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.pipeline.build import build_pipeline
from regime_pipeline.pipeline.instance import materialize_range, open_instance
from regime_pipeline.policy import default_policy
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.services.universe import MarketSpec, Universe
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.urls import dagster_url, with_database
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.factories import NOW, START

ROOT = Path(__file__).resolve().parent.parent
SIZES = (1, 12, 50, 200)
HISTORY_HOURS = 360
WARM = Market("WARM-USDT", "1h")
INTRODUCTION = """## An hour of many markets

`python -m benchmarks.many_markets{arguments}`: the whole chain, eight assets with their checks, over one new hour of
simulated 1h markets with {history} hours of history, as one run of Dagster in this process with its event storage;
seconds of wall time, of processor time of the process, and statements that the chain sends to the database. Each run
has a process of its own, in which the kernels are loaded and the simulation has begun. {rounds} taken in turns.
{cores} cores, {machine}, Python {python}."""


def markets(count: int) -> list[Market]:
    """The first markets of the home."""
    return [Market(f"M{number}-USDT", "1h") for number in range(count)]


@contextmanager
def opened(home: Path, count: int) -> Iterator[tuple[Workspace, str]]:
    """Open the home's database and folder."""
    listed = [*markets(count), WARM]
    source = SimulatedSource(7, lambda: NOW, 100)
    server = EmbeddedServer(home)
    url = server.attach()
    try:
        upgrade(url)
        with Warehouse(url) as warehouse:
            workspace = Workspace(
                warehouse=warehouse,
                snapshots=SnapshotStore(str(home / "snapshots")),
                universe=Universe(tuple(MarketSpec(m, "simulated", 100) for m in listed), START, NOW),
                source_of=lambda _: source,
                policy=default_policy(),
                nulls=default_null_table(),
                clock=lambda: NOW,
            )
            yield workspace, url
    finally:
        server.release()


def fill(home: Path, count: int) -> int:
    """Write the history of the markets that lack it; return the number of the first hour after all that is stored."""
    with opened(home, count) as (workspace, _):
        ends = {market: workspace.warehouse.last_partition(STAGES[-1].table, market) for market in markets(count)}
        end = max([START + (HISTORY_HOURS - 1) * HOUR_MS, *(hour for hour in ends.values() if hour is not None)])
        windows = {
            market: Window(START if last is None else last + HOUR_MS, end + HOUR_MS) for market, last in ends.items()
        }
        lacking = [(market, window) for market, window in windows.items() if len(window)]
        for stage in STAGES:
            run_id = workspace.start_run(stage.config_hash(workspace.policy, workspace.nulls))
            for report in stage.run_together(workspace, run_id, lacking):
                if isinstance(report, Exception):
                    raise report
        return (end - START) // HOUR_MS + 1


def one_run(home: Path, count: int, first: int, last: int, hour: int) -> dict[str, float]:
    """Run the chain over one hour of the markets `first` to `last`; return what it took."""
    with opened(home, count) as (workspace, url), instance_of(home, url) as instance:
        definitions = build_pipeline(workspace.universe, lambda: held(workspace), grain="hour")
        window = Window(START + hour * HOUR_MS, START + (hour + 1) * HOUR_MS)
        assert materialize_range(definitions, instance, WARM, WARM, window).success
        chosen = markets(count)[first : last + 1]
        for market in chosen:
            workspace.source_of(market).fetch(market, window.start_ms, window.end_ms)
        with statements() as sent:
            began, processor = time.perf_counter(), time.process_time()
            assert materialize_range(definitions, instance, chosen[0], chosen[-1], window).success
            taken = {"wall": time.perf_counter() - began, "cpu": time.process_time() - processor}
        return taken | {"statements": sent[0]}


@contextmanager
def held(workspace: Workspace) -> Iterator[Workspace]:
    """The workspace as the resource of a run, which does not close it."""
    yield workspace


@contextmanager
def instance_of(home: Path, url: str) -> Iterator[Any]:
    """A Dagster instance with a database of its own beside the home's."""
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'many_markets'").fetchone():
            connection.execute("CREATE DATABASE many_markets")
    with open_instance(home / "dagster", dagster_url(with_database(url, "many_markets"))) as instance:
        yield instance


@contextmanager
def statements() -> Iterator[list[int]]:
    """Count what is sent through psycopg 3 meanwhile: the chain's statements, not Dagster's."""
    sent = [0]
    calls = {name: getattr(psycopg.Cursor, name) for name in ("execute", "executemany", "copy")}
    for name, call in calls.items():

        def counted(*args: Any, call: Any = call, **options: Any) -> Any:
            sent[0] += 1
            return call(*args, **options)

        setattr(psycopg.Cursor, name, counted)
    try:
        yield sent
    finally:
        for name, call in calls.items():
            setattr(psycopg.Cursor, name, call)


def in_own_process(arm: Path, home: Path, count: int, first: int, last: int, hour: int) -> dict[str, float]:
    """Do `one_run` with the code of a checkout."""
    numbers = [str(number) for number in (count, first, last, hour)]
    command = [sys.executable, __file__, "--run", str(home), *numbers]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(arm)}, cwd=arm, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(
    arms: dict[str, Path], home: Path, sizes: tuple[int, ...], rounds: int
) -> dict[tuple[str, int], list[dict[str, float]]]:
    """What the runs of each arm and size took: the largest over all markets, the others over different ones."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {(arm, size): [] for arm in arms for size in sizes}
    *small, count = sizes
    for number in range(rounds):
        for arm in list(arms) if number % 2 else list(arms)[::-1]:
            hour = fill(home, count)
            first = 0
            for size in small:
                found[arm, size].append(in_own_process(arms[arm], home, count, first, first + size - 1, hour))
                first += size
            hour = fill(home, count)
            found[arm, count].append(in_own_process(arms[arm], home, count, 0, count - 1, hour))
    return found


def rows_of(found: dict[tuple[str, int], list[dict[str, float]]], arms: list[str]) -> list[list[str]]:
    """The table's rows: the least of each figure over the rounds, since what else runs only adds."""
    rows = []
    for size in sorted({size for _, size in found}):
        for arm in arms:
            least = {name: min(one[name] for one in found[arm, size]) for name in ("wall", "cpu", "statements")}
            figures = [f"{least['wall']:.1f} s", f"{least['cpu']:.1f} s", f"{least['statements']:,.0f}"]
            rows.append([f"{size} market{'s' * (size > 1)}", arm, *figures, "<= 12 s" if size == SIZES[-1] else ""])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_markets", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few markets; the page is left alone")
    parser.add_argument("--home", type=Path, help="folder of the history; made if it is not there")
    parser.add_argument("--before", type=Path, help="checkout of an earlier version")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--run", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        print(json.dumps(one_run(Path(given.run[0]), *map(int, given.run[1:]))))
        return
    arms = ({"before": given.before.resolve()} if given.before else {}) | {"now": ROOT}
    sizes, rounds = ((1, 3), 1) if given.quick else (SIZES, given.rounds)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = given.home or Path(folder) / "home"
        found = measure(arms, home.resolve(), sizes, rounds)
    table = markdown_table(
        ["one hour of", "version", "wall", "processor", "statements", "goal"], rows_of(found, list(arms))
    )
    print(table)
    if not given.quick:
        introduction = INTRODUCTION.format(
            arguments=" --before CHECKOUT" if given.before else "", history=HISTORY_HOURS,
            rounds=f"Least of {rounds} rounds" if rounds > 1 else "One round", cores=os.cpu_count(),
            machine=platform.machine(), python=platform.python_version(),
        )  # fmt: skip
        write_section("many_markets", f"{introduction}\n\n{table}")


if __name__ == "__main__":
    main()
