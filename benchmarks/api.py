"""The HTTP API under eight clients at once: stored regimes, the same computed on the fly, and answers unchanged since.

Run `python -m benchmarks.api [--quick]`; it writes its section of `docs/benchmarks.md`. Server and clients are separate
processes on the loopback interface; the clients read whole bodies and keep their connections.
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
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

import httpx

import regime_pipeline
from benchmarks.document import markdown_table, write_section
from regime_pipeline.composition import open_workspace
from regime_pipeline.domain.market import HOUR_MS, Market
from regime_pipeline.domain.window import Window, to_iso, to_ms
from regime_pipeline.services.stages import STAGES
from regime_pipeline.settings import Settings

CLIENTS, REQUESTS = 8, 60
KINDS = ("stored", "computed", "kept", "unchanged")
MARKET = Market("ETH-USDT", "1h")
BARS = 10_000
START = to_ms("2024-01-01T00:00:00Z")
MARKETS = """[partitions]
start = {start}
end = {end}

[[markets]]
symbol = "ETH-USDT"
timeframes = ["1h"]
source = "simulated"
"""
SHIPPED = Path(regime_pipeline.__file__).parent / "policy.toml"
ADDRESS = "http://127.0.0.1:{port}/api/data/regime/ETH-USDT/1h?limit={limit}"


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
    """Store ten thousand candles and their regimes."""
    window = Window(START, START + BARS * HOUR_MS)
    text = MARKETS.format(start=to_iso(window.start_ms), end=to_iso(window.end_ms))
    (home / "markets.toml").write_text(text, "utf-8")
    other = SHIPPED.read_text("utf-8").replace("adx_trend_from = 25.0", "adx_trend_from = 26.0", 1)
    (home / "policy.toml").write_text(other, "utf-8")
    with open_workspace(Settings(home=home)) as ws:
        for stage in STAGES:
            if stage.name in {"raw_candles", "candle_regimes"}:
                stage.run(ws, ws.start_run(stage.config_hash(ws.policy, ws.nulls)), MARKET, window)


def report(home: Path, requests: int) -> str:
    """Measure both servers in turn, round by round, and lay the medians out."""
    cases = {(name, limit): list[float]() for name in KINDS for limit in (120, BARS)}
    with (
        serving(home, "") as stored,
        serving(home, str(home / "policy.toml")) as computed,
        ProcessPoolExecutor(CLIENTS, get_context("spawn")) as pool,
    ):
        for round_number in range(3):
            for (name, limit), found in cases.items():
                port = computed if name == "computed" else stored
                found.append(p95(pool, port, limit, requests, name, round_number))
    medians = {case: statistics.median(found) for case, found in cases.items()}
    rows = []
    for limit, goal in ((120, 10), (BARS, 50)):
        of = {name: medians[(name, limit)] * 1000 for name in KINDS}
        rows.append(
            [
                f"{limit:,} regimes",
                f"{of['stored']:.1f} ms",
                f"{of['computed']:.1f} ms",
                f"**{of['computed'] / of['stored']:.1f}x**",
                f"{of['kept']:.1f} ms",
                f"{of['unchanged']:.1f} ms",
                f"stored < {goal} ms",
            ]
        )
    header = ["what", "stored", "computed on the fly", "ratio", "kept body", "not modified (ETag)", "goal"]
    return f"""## The HTTP API
`python -m benchmarks.api`: p95 over {CLIENTS} clients at once ({requests} requests each, kept connections, whole bodies
read), medians of 3 interleaved rounds. Computed: another policy's server on the same tables. Stored and computed are
asked what nobody asked before; a body is kept while the tables, which are asked at every request, are unchanged.
{os.cpu_count()} cores, which server, PostgreSQL and clients share, {platform.machine()},
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


def p95(pool: ProcessPoolExecutor, port: int, limit: int, requests: int, kind: str, round_number: int) -> float:
    """Seconds within which nineteen of twenty requests of all clients were answered."""
    url = ADDRESS.format(port=port, limit=limit)
    offsets = [(round_number * CLIENTS + number) * requests for number in range(CLIENTS)]
    jobs = [pool.submit(client, url, requests, kind, offset if limit == BARS else 0) for offset in offsets]
    taken = sorted(seconds for job in jobs for seconds in job.result())
    return taken[int(len(taken) * 0.95)]


def client(url: str, requests: int, kind: str, offset: int) -> list[float]:
    """Ask again and again over one connection; the first answer is not counted.

    A plain connection: a richer client would need more of the two cores than the server does.
    """
    found = []
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port)
    limit = int(parts.query.partition("=")[2])
    tag = _ask(connection, url, {})[1]
    for number in range(requests):
        # a question that nobody has asked has no kept body
        asked = url if kind in {"kept", "unchanged"} else url.replace(f"={limit}", f"={limit - 1 - number - offset}")
        headers = {"If-None-Match": tag} if kind == "unchanged" else {}
        began = time.perf_counter()
        status, _ = _ask(connection, asked, headers)
        found.append(time.perf_counter() - began)
        assert status == (304 if headers else 200)
    connection.close()
    return found


def _ask(connection: HTTPConnection, url: str, headers: dict[str, str]) -> tuple[int, str]:
    connection.request("GET", url, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers["ETag"]


if __name__ == "__main__":
    main()
