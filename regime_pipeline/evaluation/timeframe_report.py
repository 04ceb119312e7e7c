"""The verdict on every timeframe of the same minutes: `python -m regime_pipeline.evaluation.timeframe_report`.

See `posterior_report` for the hour, on which everything was fitted; `docs/probabilities.md` for what the figures mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.simulation.market import EPOCH_MS, MarketSimulation
from regime_pipeline.domain.verdicts.engine import analyze, observed_hours
from regime_pipeline.domain.verdicts.rules import INSUFFICIENT_DATA
from regime_pipeline.evaluation.markdown import markdown_table
from regime_pipeline.evaluation.posterior_report import calibration
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.services.backtest.classes import CLASS_OF_LABEL, CLASS_OF_VERDICT, Classes
from regime_pipeline.services.backtest.metrics import score
from regime_pipeline.services.null_table import default_null_table

SYMBOLS: Final = tuple(f"SPAN{number}-USDT" for number in range(8))
JUDGED: Final = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h")
"""A daily market has too few rows in spans of these lengths."""
SEED: Final = 991
START_MS: Final = EPOCH_MS + 700 * DAY_MS
WARMUP_DAYS: Final = 60
DAYS: Final = 200
_PRICE_SCALE: Final = 1_000_000
_PLACES: Final = (3, 1, 3, 3, 3)


class Hours(NamedTuple):
    """Judged observations of one symbol, shape (n,): the true class, the verdict's class, its confidence."""

    truth: Classes
    said: Classes
    confidence: NDArray[np.float64]


def judged_hours(symbol: str, timeframe: str, days: int, policy: Policy) -> Hours:
    """Return the decided observations of a symbol after the first `WARMUP_DAYS`."""
    simulation = MarketSimulation(SEED, symbol, _PRICE_SCALE)
    span = Window(START_MS, START_MS + days * DAY_MS)
    candles = simulation.bars(timeframe, span.start_ms, span.end_ms)
    hours = observed_hours(candles)
    verdicts = analyze(candles, hours, policy, default_null_table()).verdicts
    labels = simulation.labels(span.start_ms, span.end_ms)[(hours - span.start_ms) // HOUR_MS]
    verdict = verdicts["verdict"].astype(np.int8)
    is_judged = (verdict != INSUFFICIENT_DATA) & (hours >= span.start_ms + WARMUP_DAYS * DAY_MS)
    truth, said = CLASS_OF_LABEL[labels], CLASS_OF_VERDICT[verdict]
    return Hours(truth[is_judged], said[is_judged], verdicts["confidence"][is_judged])


def timeframe_table(symbols: Sequence[str] = SYMBOLS, days: int = DAYS, timeframes: Sequence[str] = JUDGED) -> str:
    """Return a row for each timeframe: balanced accuracy, flips, share right, confidence and its calibration error."""
    policy = default_policy()
    header = ["timeframe", "balanced accuracy", "flip ratio", "right", "mean confidence", "ECE of confidence"]
    rows = []
    for timeframe in timeframes:
        found = [judged_hours(symbol, timeframe, days, policy) for symbol in symbols]
        scores = [score(one.truth, one.said) for one in found]
        confidence = np.concatenate([one.confidence for one in found])
        is_right = np.concatenate([one.truth == one.said for one in found])
        values = (
            np.mean([each.balanced_accuracy for each in scores]),
            np.mean([each.flip_ratio for each in scores]),
            is_right.mean(),
            confidence.mean(),
            calibration(confidence, is_right),
        )
        rows.append(
            [timeframe, *(f"{value:.{places}f}" for value, places in zip(values, (3, 1, 3, 3, 3), strict=True))]
        )
    return markdown_table(header, rows)


if __name__ == "__main__":
    print(timeframe_table())
