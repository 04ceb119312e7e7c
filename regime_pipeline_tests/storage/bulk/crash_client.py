"""Forks writers that die by SIGKILL at a named point of a write: one command line in, one answer out.

Commands are `SEED POINT`; the point `after:MILLISECONDS` kills from outside. Arguments: URL, run number.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy.random  # noqa: F401 - numpy loads it when first used: in the parent, not anew in every child

from regime_pipeline.storage.bulk import copy_format as copy_binary
from regime_pipeline.storage.bulk import diff as replace
from regime_pipeline.storage.bulk import statements as bulk_io
from regime_pipeline.storage.bulk import transaction as writes
from regime_pipeline.storage.bulk.columns import CANDLE_REGIME
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.storage.factories import MINUTES, hours, random_rows

WINDOW = hours(0, 6)
POINTS = {
    "after lock": (writes, "compare_with_ledger"),
    "before delete": (replace, "delete"),
    "after delete": (replace, "copy_rows"),
    "mid copy": (bulk_io, "encode_copy"),
    "before periods": (writes, "rebuild_periods"),
    "before ledger": (writes, "record"),
    "before commit": (writes, "clear"),
}


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def half_a_stream(columns: Any) -> Iterator[bytes]:
    blocks = copy_binary.encode_copy(columns)
    for _ in range(4):
        yield next(blocks)
    time.sleep(0.01)
    die()


def write(url: str, run_id: int, seed: int, point: str) -> None:
    """Write the rows of a seed, dying at the point on the way."""
    copy_binary.BLOCK_ROWS = 50
    if point in POINTS:
        module, name = POINTS[point]
        replacement: Callable[..., Any] = half_a_stream if point == "mid copy" else die
        setattr(module, name, replacement)
    with Warehouse(url) as warehouse:
        rows = random_rows(CANDLE_REGIME, MINUTES, WINDOW, seed)
        warehouse.replace_range("candle_regime", MINUTES, WINDOW, rows, run_id)


def main(url: str, run_id: int) -> None:
    for line in sys.stdin:
        seed, _, point = line.strip().partition(" ")
        child = os.fork()
        if child == 0:
            write(url, run_id, int(seed), point)
            os._exit(0)
        if point.startswith("after:"):
            time.sleep(float(point.removeprefix("after:")) / 1000)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else "done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
