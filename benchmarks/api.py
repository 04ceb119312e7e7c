"""The HTTP API under eight clients at once: stored, asked again, computed, unchanged since, in other forms, and a peer.

Run `python -m benchmarks.api [--quick] [--requests N]`; it writes its section of `docs/benchmarks.md`. Servers are
processes of their own on the loopback interface; the clients, threads, read whole bodies and keep their connections.
See `api_peer` for whom it is compared with, `api_crowd` for many clients.
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
from regime_pipeline.bootstrap import open_databases, open_workspace
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso, to_ms
from regime_pipeline.policy import default_policy
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.settings import Settings
from regime_pipeline.storage.urls import libpq_url

CLIENTS, REQUESTS = 8, 60
KINDS = ("peer", "again", "columns", "arrow", "computed", "stored", "unchanged")
GOALS = {120: 1.3, 10_000: 0.6}
"""A first query beside the peer's answer to it, at most."""
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
IN_SPANS = {"peer", "again", "columns", "arrow", "computed"}
SAID = {
    "peer": "peer: Starlette, psycopg, orjson",
    "again": "first query",
    "columns": "first query, `format=columns`",
    "arrow": "first query, `format=arrow`",
    "computed": "computed",
    "stored": "asked before",
    "unchanged": "asked before, not modified (ETag)",
}
PATH = "/api/data/regime/{symbol}/1h?limit={limit}"
SPAN = "&start={start}&end={end}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few requests, nothing written")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each client, kind and round")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir()
        fill(home)
        text = report(home, 5 if given.quick else given.requests)
    print(text)
    if not given.quick:
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
    """Measure every kind in turn, round by round, and lay the medians out."""
    cases = {(name, limit): list[tuple[float, float]]() for limit in MARKETS_OF for name in KINDS}
    with (
        serving(home, "") as stored,
        serving(home, str(home / "policy.toml")) as computed,
        serving_peer(home) as peer,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        port_of = {"computed": computed, "peer": peer}
        for round_number in range(ROUNDS):
            for number, ((name, limit), found) in enumerate(cases.items()):
                first = (round_number * len(cases) + number) * CLIENTS
                found.append(measured(pool, port_of.get(name, stored), limit, requests, name, first))
    medians = {
        case: [statistics.median(each) * 1000 for each in zip(*found, strict=True)] for case, found in cases.items()
    }
    return document(medians, requests)


def document(medians: dict[tuple[str, int], list[float]], requests: int) -> str:
    """The section of the page, from the median and the p95 of each case in milliseconds."""
    rows = []
    for limit, goal in GOALS.items():
        peer = medians[("peer", limit)]
        for name in KINDS:
            p50, p95 = medians[(name, limit)]
            ratio = "" if name == "peer" else f"**{p50 / peer[0]:.2f}x**"
            aim = f"<= {goal}x" if name == "again" else ""
            rows.append([f"{limit:,} regimes", SAID[name], f"{p50:.1f} ms", f"{p95:.1f} ms", ratio, aim])
    header = ["what", "how", "median", "p95", "median / peer's", "goal"]
    return f"""## The HTTP API
`python -m benchmarks.api`: {CLIENTS} clients at once ({requests} requests each, kept connections, whole bodies read),
medians of {ROUNDS} interleaved rounds. The peer is Starlette with psycopg's asynchronous connections and orjson over
the same statement (`benchmarks/api_peer.py`); it checks nothing and has no ETag. First query: spans that nobody has
asked, so that every row is read and rendered, as the peer does every time. Computed: the same by a server of another
policy on the same tables. Asked before: the newest regimes, each time another number of them; the tables are asked at
every request whether anything was written. {os.cpu_count()} cores, which three servers, PostgreSQL, {CLIENTS} clients
and others share (load {os.getloadavg()[1]:.0f}), {platform.machine()}, Python {platform.python_version()}.

{markdown_table(header, rows)}"""


@contextmanager
def serving_peer(home: Path) -> Iterator[int]:
    """Run the peer on the same tables; yield the port."""
    settings = Settings(home=home)
    url, wanted = libpq_url(open_databases(settings).regimes), default_policy().candle_regime.hash
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.api_peer", str(port), url, wanted])
    try:
        wait_for(f"http://127.0.0.1:{port}/", server)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(home: Path, policy: str) -> Iterator[int]:
    """Run `regime serve` on a free port; yield the port."""
    port = free_port()
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
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert server.poll() is None, "the API has ended"
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the API did not start")


def measured(pool: Executor, port: int, limit: int, requests: int, kind: str, first: int) -> tuple[float, float]:
    """Seconds within which half and nineteen of twenty requests of all clients were answered."""
    jobs = [pool.submit(client, port, limit, requests, kind, (first + each) * requests) for each in range(CLIENTS)]
    taken = sorted(seconds for job in jobs for seconds in job.result())
    return statistics.median(taken), taken[int(len(taken) * 0.95)]


def client(port: int, limit: int, requests: int, kind: str, first: int) -> list[float]:
    """Ask again and again over one connection; the first answer is not counted."""
    found = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tag = ask(connection, span_of(limit, first, kind) if kind in IN_SPANS else newest(limit, 0))[1]
        match = f"If-None-Match: {tag}\r\n" if kind == "unchanged" else ""
        for number in range(requests):
            fewer = number % 60 if kind == "stored" else 0
            asked = span_of(limit, first + number, kind) if kind in IN_SPANS else newest(limit, fewer)
            began = time.perf_counter()
            status, _ = ask(connection, asked, match)
            found.append(time.perf_counter() - began)
            assert status == (304 if match else 200)
    return found


def newest(limit: int, fewer: int) -> str:
    """What asks for the newest regimes, a few less than the limit."""
    return PATH.format(symbol=MARKETS_OF[limit].symbol, limit=limit - fewer)


def span_of(limit: int, number: int, kind: str) -> str:
    """What asks for a span, another for each number until all are used, in the form of a kind."""
    start = START + number % (BARS - limit) * HOUR_MS
    form = f"&format={kind}" if kind in ("columns", "arrow") else ""
    return newest(limit, 0) + SPAN.format(start=to_iso(start), end=to_iso(start + limit * HOUR_MS)) + form


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
    return int(lines[0].split()[1]), fields.get("etag", "")


if __name__ == "__main__":
    main()
