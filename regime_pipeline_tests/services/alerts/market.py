"""A market of two days whose stored rows say what a test wants to have happened, and a receiver on the loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import proposed_fields, update_grid
from regime_pipeline_tests.factories import START, run_stages, simulated_workspace

ALFA = Market("ALFA-USDT", "1h")
HOURS = 48
END = START + HOURS * HOUR_MS
LOWER, UPPER = 2_000.0, 2_500.0


@contextmanager
def alfa(database_url: str, folder: Path) -> Iterator[Workspace]:
    """The market just after its last hour closed: RANGE_OK throughout, an enabled grid, the price inside."""
    now = END + 60_000
    with simulated_workspace(database_url, folder, [ALFA], clock=lambda: now) as ws:
        run_stages(ws, ALFA, [Window(START, END)])
        fields = proposed_fields(ws, ALFA.symbol) | {"lower": LOWER, "upper": UPPER, "enabled": True}
        fields |= {"limit_lower": None, "limit_upper": None}
        at_start = replace(ws, clock=lambda: START + 1)
        update_grid(at_start, ALFA.symbol, fields, expected_version=0, who="ada", why="first")
        change(ws, "regime_verdicts", 0, HOURS, verdict="RANGE_OK", confidence=0.5)
        change(ws, "grid_advice", 0, HOURS, close=2_200.0, enabled=True, config_version=1, gate_state="NONE")
        ws.warehouse.alerts.began_ms(START)
        yield ws


def change(ws: Workspace, table: str, first: int, last: int, **values: Any) -> None:
    """Let the hours `first` to `last` (exclusive), counted from the market's first, say this."""
    columns = ", ".join(f"{name} = %s" for name in values)
    span = (to_iso(START + first * HOUR_MS), to_iso(START + last * HOUR_MS))
    with psycopg.connect(ws.warehouse.url) as connection:
        connection.execute(
            f"UPDATE {table} SET {columns} WHERE hour_start >= %s AND hour_start < %s", (*values.values(), *span)
        )


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[tuple[dict[str, str], dict[str, Any]]]]]:
    """A server that answers with these statuses, then with 200; its host and port, and what it got."""
    got: list[tuple[dict[str, str], dict[str, Any]]] = []
    answers = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()
