"""The HTTP API under eight clients at once: stored regimes, the same computed on the fly, and answers unchanged since.

Run `python -m benchmarks.api [--quick]`; it writes its section of `docs/benchmarks.md`. The server is a process of its
own on the loopback interface; the clients, threads, read whole bodies and keep their connections.
"""

from __future__ import annotations

import argparse
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

import regime_pipeline
from benchmarks.document import markdown_table, write_section
from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso, to_ms
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.settings import Settings

CLIENTS, REQUESTS = 8, 60
KINDS = ("stored", "again", "computed", "unchanged")
MARKETS_OF = {120: Market("BTC-USDT", "1h"), 10_000: Market("ETH-USDT", "1h")}
"""One for each number of regimes, so that no span of the one is held for the other."""
BARS = 11_600
ROUNDS = 3
START = to_ms("2024-01-01T00:00:00Z")
MARKETS = """[partitions]
start = {start}
end = {end}

[[markets]]
symbol = "ETH-USDT"
timeframes = ["1h"]
source = "simulated"

[[markets]]
symbol = "BTC-USDT"
timeframes = ["1h"]
source = "simulated"
"""
SHIPPED = Path(regime_pipeline.__file__).parent / "policy" / "policy.toml"
PATH = "/api/data/regime/{symbol}/1h?limit={limit}"
SPAN = "&start={start}&end={end}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few requests, nothing written")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir()
        fill(home)
        text = report(home, 5 if quick else REQUESTS)
    print(text)
    if not quick:
        write_section("api", text)


def fill(home: Path) -> None:
    """Store candles and their regimes."""
    window = Window(START, START + BARS * HOUR_MS)
    text = MARKETS.format(start=to_iso(window.start_ms), end=to_iso(window.end_ms))
    (home / "markets.toml").write_text(text, "utf-8")
    other = SHIPPED.read_text("utf-8").replace("adx_trend_from = 25.0", "adx_trend_from = 26.0", 1)
    (home / "policy.toml").write_text(other, "utf-8")
    with open_workspace(Settings(home=home)) as ws:
        for stage in STAGES:
            if stage.name in {"raw_candles", "candle_regimes"}:
                run_id = ws.start_run(stage.config_hash(ws.policy, ws.nulls))
                for market in MARKETS_OF.values():
                    stage.run(ws, run_id, market, window)


def report(home: Path, requests: int) -> str:
    """Measure both servers in turn, round by round, and lay the medians out."""
    cases = {(name, limit): list[float]() for name in KINDS for limit in MARKETS_OF}
    with (
        serving(home, "") as stored,
        serving(home, str(home / "policy.toml")) as computed,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        for round_number in range(ROUNDS):
            for (name, limit), found in cases.items():
                port = computed if name == "computed" else stored
                found.append(p95(pool, port, limit, requests, name, round_number))
    medians = {case: statistics.median(found) for case, found in cases.items()}
    rows = []
    for limit, goal in zip(MARKETS_OF, (10, 50), strict=True):
        of = {name: medians[(name, limit)] * 1000 for name in KINDS}
        ratio = f"**{of['computed'] / of['again']:.1f}x**"
        figures = (f"{of[name]:.1f} ms" for name in ("stored", "unchanged", "again", "computed"))
        rows.append([f"{limit:,} regimes", *figures, ratio, f"stored < {goal} ms"])
    header = ["what", "stored", "not modified (ETag)", "stored, first query", "recomputed", "ratio", "goal"]
    return f"""## The HTTP API
`python -m benchmarks.api`: p95 over {CLIENTS} clients at once ({requests} requests each, kept connections, whole bodies
read), medians of {ROUNDS} interleaved rounds. Stored: the newest regimes, each time another number of them; the tables
are asked at every request whether anything was written, the rows are kept rendered. First query: spans that nobody has
asked, so that every row is read and rendered; computed: the same by a server of another policy on the same tables.
{os.cpu_count()} cores, which servers, PostgreSQL and {CLIENTS} clients share, {platform.machine()},
Python {platform.python_version()}.

{markdown_table(header, rows)}"""


@contextmanager
def serving(home: Path, policy: str) -> Iterator[int]:
    """Run `regime serve` on a free port; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    environment = {**os.environ, "REGIME_HOME": str(home), "REGIME_POLICY": policy}
    code = "from regime_pipeline.cli.app import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", str(port), "--rate", "100000000"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/readyz", server)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "the API has ended"
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the API did not start")


def p95(pool: Executor, port: int, limit: int, requests: int, kind: str, round_number: int) -> float:
    """Seconds within which nineteen of twenty requests of all clients were answered."""
    firsts = [(round_number * CLIENTS + number) * requests for number in range(CLIENTS)]
    jobs = [pool.submit(client, port, limit, requests, kind, first) for first in firsts]
    taken = sorted(seconds for job in jobs for seconds in job.result())
    return taken[int(len(taken) * 0.95)]


def client(port: int, limit: int, requests: int, kind: str, first: int) -> list[float]:
    """Ask again and again over one connection; the first answer is not counted."""
    found, symbol = [], MARKETS_OF[limit].symbol
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tag = ask(connection, PATH.format(symbol=symbol, limit=limit))[1]
        match = f"If-None-Match: {tag}\r\n" if kind == "unchanged" else ""
        for number in range(requests):
            asked = PATH.format(symbol=symbol, limit=limit)
            if kind == "stored":
                asked = PATH.format(symbol=symbol, limit=limit - number % 60)
            elif kind != "unchanged":
                start = START + (first + number) * HOUR_MS
                asked += SPAN.format(start=to_iso(start), end=to_iso(start + limit * HOUR_MS))
            began = time.perf_counter()
            status, _ = ask(connection, asked, match)
            found.append(time.perf_counter() - began)
            assert status == (304 if match else 200)
    return found


def ask(connection: socket.socket, path: str, headers: str = "") -> tuple[int, str]:
    """Ask over a kept connection and read the whole body; return status and ETag.

    No more HTTP than needed: a client of a library would need as much of the two cores as the server does.
    """
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
    head = connection.recv(65_536)
    while (end := head.find(b"\r\n\r\n")) < 0:
        head += connection.recv(65_536)
    lines = head[:end].decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    left, room = int(fields.get("content-length", 0)) - (len(head) - end - 4), bytearray(1 << 18)
    while left:
        left -= connection.recv_into(room, min(left, len(room)))
    return int(lines[0].split()[1]), fields["etag"]


if __name__ == "__main__":
    main()
