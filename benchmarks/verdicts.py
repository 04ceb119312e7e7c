"""The hourly engine against its goals: a market-year beside the naive pandas version, and one new hour.

Run `python -m benchmarks.verdicts [--quick]`; it writes its section of `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.hourly import compute_features, feature_lookback_bars
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.scoring.scores import compute_scores, score_lookback_hours
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.domain.verdicts.verdict import decide_verdicts, verdict_lookback_hours
from regime_pipeline.policy import default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline_tests.reference.naive_features import naive_features
from regime_pipeline_tests.reference.naive_verdicts import naive_scores, naive_verdict

YEAR_HOURS = 8_760
MARKET = Market("BENCH-USDT", "1h")
POLICY, NULLS = default_policy(), default_null_table()
STAGES = ("features", "scores", "verdicts")
GOAL_RATIO, GOAL_HOUR_MS = 1_000, 10
INTRODUCTION = """## Hourly verdicts

`python -m benchmarks.verdicts`: one simulated 1h market-year ({hours:,} hours and the look-back before them), features
to verdicts, medians of {repeats} rounds interleaved with the naive version. That one computes
{naive} hours per round one by one in pandas (`reference/` of the tests; the same values to
1e-9) and is scaled to the year. The naive verdict replays the hysteresis window of every hour, as the
definition says; the last row leaves the verdict out of both, as a naive loop could carry the last verdict along.
{cores}, {machine}, Python {python}."""


@dataclass(frozen=True)
class Year:
    """Candles of a year and its look-back, the wanted hours, and their rows with history."""

    candles: Candles
    hours: np.ndarray
    features: Rows
    scores: Rows


def make_year() -> Year:
    reach = feature_lookback_bars(POLICY) + score_lookback_hours(MARKET, POLICY) + 170
    candles = simulate(MARKET, YEAR_HOURS + reach, 1).candles
    hours = candles.open_time_ms
    features = compute_features(candles, hours, POLICY)
    return Year(candles, hours[-YEAR_HOURS:], features, compute_scores(features, hours, MARKET, POLICY, NULLS))


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def last(rows: Rows, count: int) -> Rows:
    return {name: column[-count:] for name, column in rows.items()}


def engine_calls(year: Year, hours: int) -> dict[str, Callable[[], Any]]:
    """Each stage for the last hours of the year, from the history it needs and no more."""
    wanted = year.hours[-hours:]
    bars = year.candles[slice(-hours - feature_lookback_bars(POLICY) + 1, None)]
    for_scores = last(year.features, hours + score_lookback_hours(MARKET, POLICY))
    reach = hours + verdict_lookback_hours(MARKET, POLICY)
    for_verdicts = last(year.features, reach), last(year.scores, reach)
    return {
        "features": lambda: compute_features(bars, wanted, POLICY),
        "scores": lambda: compute_scores(for_scores, wanted, MARKET, POLICY, NULLS),
        "verdicts": lambda: decide_verdicts(*for_verdicts, wanted, MARKET, POLICY),
    }


def naive_calls(year: Year, rows: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Each stage for the sampled rows, hour by hour."""
    features = pd.DataFrame(year.features)
    joined = pd.DataFrame(year.features | year.scores)
    window, ranks = POLICY.features.window_bars, POLICY.scores.rank_observations
    return {
        "features": lambda: [naive_features(year.candles, row, POLICY) for row in rows],
        "scores": lambda: [
            naive_scores(features.iloc[max(window, row - ranks) : row + 1], POLICY, NULLS) for row in rows
        ],
        "verdicts": lambda: [naive_verdict(joined.iloc[: row + 1], POLICY) for row in rows],
    }


def measure(repeats: int, sampled: int) -> dict[str, dict[str, float]]:
    """Median seconds of each stage: engine on the year, engine on one hour, naive scaled to the year."""
    year = make_year()
    rows = np.random.default_rng(1).choice(np.arange(len(year.candles) - YEAR_HOURS, len(year.candles)), sampled)
    arms = {
        "year": (engine_calls(year, YEAR_HOURS), 1.0),
        "hour": (engine_calls(year, 1), 1.0),
        "naive": (naive_calls(year, rows), YEAR_HOURS / sampled),
    }
    taken: dict[str, dict[str, list[float]]] = {arm: {stage: [] for stage in STAGES} for arm in arms}
    for _ in range(repeats):
        for arm, (calls, scale) in arms.items():
            for stage in STAGES:
                taken[arm][stage].append(seconds(calls[stage]) * scale)
    return {arm: {stage: statistics.median(times) for stage, times in stages.items()} for arm, stages in taken.items()}


def report(medians: dict[str, dict[str, float]]) -> str:
    """The table of one run."""
    sums = {"features": ("features",), "scores": ("scores",), "verdicts": ("verdicts",), "features to verdicts": STAGES}
    lines = []
    for name, stages in (*sums.items(), ("features and scores", STAGES[:2])):
        year, hour, naive = (sum(medians[arm][stage] for stage in stages) for arm in ("year", "hour", "naive"))
        is_goal = name == "features to verdicts"
        lines.append(
            [
                name,
                f"{year * 1e3:.0f} ms",
                f"{naive:.0f} s",
                f"**{naive / year:,.0f}x**",
                f">= {GOAL_RATIO:,}x" if is_goal else "",
                f"{hour * 1e3:.2f} ms",
                f"<= {GOAL_HOUR_MS} ms" if is_goal else "",
            ]
        )
    return markdown_table(["stage", "a year", "naive", "ratio", "goal", "one new hour", "goal"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds of few hours; the page is left alone")
    is_quick = parser.parse_args().quick
    repeats, sampled = (2, 5) if is_quick else (7, 40)
    table = report(measure(repeats, sampled))
    introduction = INTRODUCTION.format(
        hours=YEAR_HOURS,
        repeats=repeats,
        naive=sampled,
        cores=f"{os.cpu_count()} cores",
        machine=platform.machine(),
        python=platform.python_version(),
    )
    print(table)
    if not is_quick:
        write_section("verdicts", f"{introduction}\n\n{table}")


if __name__ == "__main__":
    main()
