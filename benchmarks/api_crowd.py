"""The API with two hundred clients for a minute while tables are rewritten: is it alive, does anybody get an error.

Run `python -m benchmarks.api_crowd [--clients N] [--seconds S]`; it writes its section of `docs/benchmarks.md`. Each
client asks once a second for what dashboards and bots ask for; one more asks /healthz ten times a second.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.api import MARKETS_OF, fill, serving
from benchmarks.document import write_section
from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.settings import Settings

GOAL_MS = 100
MARKET = MARKETS_OF[120]
PATHS = (
    f"/api/data/regime/{MARKET.symbol}/1h?limit=120",
    f"/api/data/regime/{MARKET.symbol}/1h?limit=2000&format=columns",
    f"/api/candles/{MARKET.symbol}/1h?limit=100",
    f"/api/data/regime/{MARKET.symbol}/1h/stats?limit=500",
    "/api/markets",
    "/api/overview",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir()
        fill(home)
        with serving(home, "") as port, rewriting(home) as writes:
            answered, alive = asyncio.run(crowd(port, given.clients, given.seconds))
            text = document(answered, alive, given.clients, given.seconds, writes[0])
    print(text)
    write_section("api_crowd", text)


@contextmanager
def rewriting(home: Path) -> Iterator[list[int]]:
    """Store a day's regimes again and again under a run of its own; yields the count of writes so far."""
    stop, writes = threading.Event(), [0]

    def rewrite() -> None:
        with open_workspace(Settings(home=home)) as ws:
            newest = ws.warehouse.latest(MARKET) or 0
            window = Window(newest - 23 * HOUR_MS, newest + HOUR_MS)
            rows = ws.warehouse.read_range("candle_regime", MARKET, window)
            while not stop.is_set():
                rows["confidence"] = (rows["confidence"] + 0.01) % 1
                run = ws.start_run(ws.policy.candle_regime.hash)
                ws.warehouse.replace_range("candle_regime", MARKET, window, rows, run)
                writes[0] += 1
                time.sleep(0.2)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        yield writes
    finally:
        stop.set()
        writer.join()


async def crowd(port: int, clients: int, seconds: int) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Status and seconds of every answer, and those of /healthz."""
    until = time.monotonic() + seconds
    answered: list[tuple[int, float]] = []
    alive: list[tuple[int, float]] = []
    asking = [
        client(port, (PATHS[number % len(PATHS)],), 1.0, number / clients, until, answered) for number in range(clients)
    ]
    await asyncio.gather(client(port, ("/healthz",), 0.1, 0.0, until, alive), *asking)
    return answered, alive


async def client(
    port: int, paths: tuple[str, ...], pause_s: float, delay_s: float, until: float, found: list[tuple[int, float]]
) -> None:
    """Ask over one connection until the time is up."""
    await asyncio.sleep(delay_s)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    while time.monotonic() < until:
        began = time.perf_counter()
        writer.write(f"GET {paths[number % len(paths)]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        found.append((int(head.split()[1]), time.perf_counter() - began))
        number += 1
        await asyncio.sleep(max(0.0, pause_s - found[-1][1]))
    writer.close()


def document(
    answered: list[tuple[int, float]], alive: list[tuple[int, float]], clients: int, seconds: int, writes: int
) -> str:
    """The section of the page."""
    p50, p99 = (quantile(alive, share) for share in (0.5, 0.99))
    statuses = Counter(status for status, _ in [*answered, *alive])
    errors = sum(count for status, count in statuses.items() if status != 200)
    return f"""## Two hundred clients
`python -m benchmarks.api_crowd`: {clients} clients ask once a second for {seconds} s, what dashboards and bots ask,
while a day of regimes is stored again {writes} times. {len(answered):,} answers, {errors} errors, median
{quantile(answered, 0.5):.0f} ms, p99 {quantile(answered, 0.99):.0f} ms. `/healthz`, ten times a second beside them:
median {p50:.0f} ms, **p99 {p99:.0f} ms** (goal < {GOAL_MS} ms). {os.cpu_count()} cores, which the server, PostgreSQL,
the writer, every client and other programs share (load {os.getloadavg()[0]:.0f}), {platform.machine()}."""


def quantile(found: list[tuple[int, float]], share: float) -> float:
    """Milliseconds within which a share of the answers came."""
    taken = sorted(seconds for _, seconds in found)
    return taken[min(int(len(taken) * share), len(taken) - 1)] * 1000


if __name__ == "__main__":
    main()
