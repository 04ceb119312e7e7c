"""How long an hourly tick takes, from the sensor's run request to the newest dashboard row, against a local exchange.

Run `python -m benchmarks.hourly_tick [--quick]`; it writes its section of `docs/benchmarks.md`. Each size and way of
starting runs has its own `regime up` (database, webserver, daemon) and asks the exchange's REST form over HTTP with the
real client.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline_tests.e2e.regime_up import running_up, until
from regime_pipeline_tests.exchange_simulator.exchange import Exchange
from regime_pipeline_tests.exchange_simulator.server import running, simulated

SIZES = (1, 12)
STARTS = ("stock", "fork")
"""Values of `REGIME_RUN_START`, in turn at each size."""
GOAL_S = 2.5
SETTLED_S, UNSEEN_S = 25, 8
"""Until webserver and daemon have started for good, and after the run is seen first."""
ENTRY = """
[[markets]]
symbol = "M{}-USDT"
timeframes = ["1h"]
source = "exchange"
exchange = "binance"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one market only, nothing written")
    quick = parser.parse_args().quick
    exchange = Exchange(simulated([f"M{number}-USDT" for number in range(max(SIZES))], 7, 100))
    with running(exchange) as url:
        os.environ["REGIME_EXCHANGE_URL"] = url
        seconds = {size: [tick_seconds(size, start) for start in STARTS] for size in (SIZES[:1] if quick else SIZES)}
    rows = [
        [
            f"{size} market{'s' * (size > 1)}",
            f"{fork:.1f} s",
            f"<= {GOAL_S} s" if size == 1 else "",
            f"{stock:.1f} s",
            f"{stock / fork:.1f}x",
        ]
        for size, (stock, fork) in seconds.items()
    ]
    text = f"""## The hourly tick
`python -m benchmarks.hourly_tick`: `regime up` with markets of 1h bars on a local exchange over HTTP; one hour is due;
from the creation of the sensor's run (queue, process start, candles, the whole chain) to its end with the dashboard
rows written, everything having run for half a minute before, Python's cache of compiled modules on, as it is unless
`PYTHONDONTWRITEBYTECODE` is set (a new Python then takes 2 s longer to start). Beside it the same tick with
`REGIME_RUN_START=stock`, a new Python for the run. One tick each, in turn; load average of the quarter of an hour
before the end {os.getloadavg()[2]:.1f}. {os.cpu_count()} cores, {platform.machine()},
Python {platform.python_version()}.

{markdown_table(["tick of", "sensor's run to dashboard row", "goal", "new Python for the run", "ratio"], rows)}"""
    print(text)
    if not quick:
        write_section("hourly_tick", text)


def tick_seconds(markets: int, start: str) -> float:
    """Start everything, let one hour be due, and return how long its run took from its creation to its end."""
    os.environ["REGIME_RUN_START"] = start
    closed = int(time.time()) * 1000 // HOUR_MS * HOUR_MS
    listed = "".join(ENTRY.format(number) for number in range(markets))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        text = f"[partitions]\nstart = {to_iso(closed - 48 * HOUR_MS)}\n{listed}"
        with running_up(Path(folder) / "home", text) as up:
            time.sleep(SETTLED_S)
            up.start_sensor("hourly_market_sensor", cursor=str(closed - HOUR_MS))
            first = until(180, lambda: next(iter(up.sensor_runs("hourly_market_sensor")), None), "the sensor's run")
            time.sleep(UNSEEN_S)  # asking would take processor time from the run
            assert until(120, lambda: up.end_of(first.run_id), "the end of the run") == "SUCCESS"
            (run,) = up.sensor_runs("hourly_market_sensor")
            assert run.ended is not None
            return run.ended - run.created


if __name__ == "__main__":
    main()
