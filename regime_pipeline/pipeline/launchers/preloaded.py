"""What the process has loaded that runs are forked of, and how its children end; see `forked` for who starts it.

Nothing here reads settings, markets or a policy of the user's, or opens anything: each run does so in its own process.
"""

import contextlib
import ctypes
import os
import signal
from importlib import import_module
from typing import Final

from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.advice_hourly import grid_advice_rows
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.domain.verdicts.engine import analyze, observed_hours, reach_hours
from regime_pipeline.policy import default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.sources.exchange_client import exchange_class

LIBRARIES: Final = ("dagster._grpc.impl", "psycopg2.extras", "upath.implementations.local")
OURS: Final = (
    "regime_pipeline.bootstrap",
    "regime_pipeline.pipeline.build",
    "regime_pipeline.pipeline.dagster_storage",
    "regime_pipeline.pipeline.launchers.forked",
    "regime_pipeline.storage.embedded.server",
)
"""With `LIBRARIES` what runs import, but for `definitions`, which reads the markets."""
_PR_SET_PDEATHSIG: Final = 1
_PRCTL: Final = ctypes.CDLL(None).prctl


def end_with_the_parent() -> None:
    """Have the kernel kill this child when its parent dies: it counts as lost from then on, and is run again."""
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)


def use_kernels() -> None:
    """Take an hour of a simulated market from candles to advice, which loads the kernels' machine code."""
    market, policy, nulls = Market("ALFA-USDT", "1h"), default_policy(), default_null_table()
    candles = simulate(market, reach_hours(market, policy), seed=0).candles
    hours = observed_hours(candles)[-1:]
    classify(candles, policy.candle_regime)
    rows = analyze(candles, hours, policy, nulls)
    grid_advice_rows(hours, rows.verdicts, rows.features, candles, (), policy, None, rows.scores, nulls.hold)


os.register_at_fork(after_in_child=end_with_the_parent)
for name in (*LIBRARIES, *OURS):
    import_module(name)
with contextlib.suppress(UsageError):  # without the extra `exchange`
    exchange_class("binance")  # most of it is what every exchange of ccxt is built on
use_kernels()
