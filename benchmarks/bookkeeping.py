"""What Dagster's bookkeeping costs a run: its own event storage and the project's in turn, on one server.

Run `python -m benchmarks.bookkeeping [--quick]`; it writes its section of `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psycopg

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.pipeline.build import build_pipeline
from regime_pipeline.pipeline.instance import materialize_range, open_instance
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import Universe
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline.storage.urls import dagster_url, with_database
from regime_pipeline_tests.factories import START, simulated_workspace
from regime_pipeline_tests.pipeline.factories import materialized

MARKET = Market("BENCH-USDT", "1h")
ARMS = ("stock", "bulk")
WARM_HOURS = 480
RUNS = {"a run of 360 hours": 360, "a run of one hour": 1}
EVENTS = {"1,000 materializations, one batch": 1_000, "one materialization": 1}
INTRODUCTION = """## Dagster's bookkeeping

`python -m benchmarks.bookkeeping`: seconds, medians of {rounds} rounds in which the two storages take turns, each with
a database of its own on one embedded server (`REGIME_DAGSTER_EVENTS=stock` and `bulk`). Runs are those of the whole
chain, eight assets with their checks, in this process, over hours that are stored already, so that nearly all of the
time is Dagster's. {cores} cores, {machine}, Python {python}.

What the bulk storage does not do: it does not make Dagster create fewer events, nor smaller ones; what remains of a run
is mostly the making of event objects, which stays Dagster's own."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, nothing written")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    taken = measure(rounds)
    rows = []
    for name in (*RUNS, *EVENTS):
        stock, bulk = (statistics.median(taken[arm, name]) for arm in ARMS)
        rows.append([name, f"{stock:.3f}", f"{bulk:.3f}", f"{stock / bulk:.1f}x"])
    introduction = INTRODUCTION.format(
        rounds=rounds, cores=os.cpu_count(), machine=platform.machine(), python=platform.python_version()
    )
    text = f"{introduction}\n\n{markdown_table(['', 'stock', 'bulk', 'ratio'], rows)}"
    print(text)
    if not arguments.quick:
        write_section("bookkeeping", text)


def measure(rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of each arm and case, round by round; a round before the first is not counted."""
    taken: dict[tuple[str, str], list[float]] = {(arm, name): [] for arm in ARMS for name in (*RUNS, *EVENTS)}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder) / "home")
        url = server.attach()
        try:
            with simulated_workspace(url, Path(folder) / "snapshots", [MARKET]) as workspace:
                for number in range(rounds + 1):
                    for arm in ARMS if number % 2 else ARMS[::-1]:
                        for name, seconds in one_round(arm, workspace, Path(folder), url):
                            taken[arm, name] += [seconds] * (number > 0)
        finally:
            server.release()
    return taken


def one_round(arm: str, workspace: Workspace, folder: Path, url: str) -> Iterator[tuple[str, float]]:
    """Time every case with one storage."""
    definitions = chain_of(workspace)
    with instance_of(arm, folder, url) as instance:
        for name, hours in RUNS.items():
            window = Window(START + (WARM_HOURS - hours) * HOUR_MS, START + WARM_HOURS * HOUR_MS)
            began = time.perf_counter()
            assert materialize_range(definitions, instance, MARKET, MARKET, window).success
            yield name, time.perf_counter() - began
        for name, count in EVENTS.items():
            events = materialized(count)
            began = time.perf_counter()
            store(instance, events)
            yield name, time.perf_counter() - began


def store(instance: dg.DagsterInstance, events: Sequence[dg.EventLogEntry]) -> None:
    """Store events as Dagster does: one alone as it is, several as a batch."""
    if len(events) == 1:
        instance.event_log_storage.store_event(events[0])
    else:
        instance.event_log_storage.store_event_batch(events)


def chain_of(workspace: Workspace) -> dg.Definitions:
    """The chain over the workspace's only market."""

    @contextmanager
    def open_workspace() -> Iterator[Workspace]:
        yield workspace

    universe = Universe(workspace.universe.specs, START, START + WARM_HOURS * HOUR_MS)
    return build_pipeline(universe, open_workspace, grain="hour")


@contextmanager
def instance_of(arm: str, folder: Path, url: str) -> Iterator[dg.DagsterInstance]:
    """The instance of an arm, with a database of its own that lasts from round to round."""
    os.environ["REGIME_DAGSTER_EVENTS"] = arm
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [arm]).fetchone():
            connection.execute(f"CREATE DATABASE {arm}")  # type: ignore[arg-type]
    with open_instance(folder / arm, dagster_url(with_database(url, arm))) as instance:
        yield instance


if __name__ == "__main__":
    main()
