"""The hourly engine against its goals: a market-year beside what competent users vectorise, and one new hour.

Run `python -m benchmarks.verdicts [--quick]`; it writes its section of `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.document import markdown_table, write_section
from benchmarks.feature_peers import COLUMNS, vectorised_features
from benchmarks.rounds import seconds
from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.families import (
    reversion_features,
    trend_features,
    volatility_features,
    wilder_features,
)
from regime_pipeline.domain.features.hourly import compute_features, feature_lookback_bars
from regime_pipeline.domain.features.path import path_features
from regime_pipeline.domain.features.ranges.consensus import METHODS
from regime_pipeline.domain.features.ranges.methods import RangeInputs
from regime_pipeline.domain.features.windows import Windows
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.scoring.scores import compute_scores, score_lookback_hours
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.domain.verdicts.verdict import decide_verdicts, verdict_lookback_hours
from regime_pipeline.policy import default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline_tests.reference.naive_features import naive_features

YEAR_HOURS = 8_760
MARKET = Market("BENCH-USDT", "1h")
POLICY, NULLS = default_policy(), default_null_table()
STAGES = ("features", "scores", "verdicts")
GOAL_RATIO, GOAL_HOUR_MS = 3.0, 10
NEAR = 1e-6
INTRODUCTION = """## Hourly verdicts

`python -m benchmarks.verdicts`: one simulated 1h market-year ({hours:,} hours and the look-back before them), features
to verdicts, medians of {repeats} interleaved rounds. The peer (`benchmarks/feature_peers.py`) is what a competent user
vectorises with pandas and numpy: {columns} feature columns, equal to ours to {near}, without pivots, volume profile,
consensus and the evidence for a range, and without a word on holes. The row "the same columns" is our time for these
columns alone. Before timing, {naive} hours also equal the hour-by-hour version of the tests to 1e-9. {cores},
{machine}, Python {python}."""


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


def bars_of(year: Year) -> Candles:
    """The candles that a year of features needs, and no more."""
    return year.candles[slice(-YEAR_HOURS - feature_lookback_bars(POLICY) + 1, None)]


def same_columns(bars: Candles) -> Rows:
    """Our values of the peer's columns, from the functions that the whole is made of."""
    windows = Windows.of(bars, np.arange(len(bars) - YEAR_HOURS, len(bars)), POLICY.features)
    wilder = wilder_features(windows)
    trend = trend_features(windows, wilder["atr"])
    inputs = RangeInputs(windows, np.maximum(wilder["atr"], 1.0), trend["slope_t"], POLICY.ranges)
    edges = {name: METHODS[name](inputs) for name in ("quantile", "donchian", "channel")}
    return {
        **wilder,
        **trend,
        **reversion_features(windows),
        **volatility_features(windows),
        **path_features(windows),
        **{f"{name}_{side}": edge[at] for name, edge in edges.items() for at, side in enumerate(("low", "high"))},
    }


def check(year: Year, rows: np.ndarray) -> None:
    """The peer says what we say of every hour, and the hour-by-hour version of the given rows."""
    ours, theirs = last(year.features, YEAR_HOURS), vectorised_features(bars_of(year), YEAR_HOURS, POLICY)
    assert set(COLUMNS) == set(same_columns(bars_of(year)))
    for name in COLUMNS:
        np.testing.assert_allclose(theirs[name], ours[name].astype(np.float64), NEAR, NEAR, err_msg=name)
    for row in rows:
        for name, value in naive_features(year.candles, row, POLICY).items():
            np.testing.assert_allclose(float(year.features[name][row]), float(value), 1e-9, 1e-9, err_msg=name)


def measure(repeats: int, checked: int) -> dict[str, dict[str, float]]:
    """Median seconds of each stage: engine on the year, engine on one hour, the peer's and our part of the features."""
    year = make_year()
    rows = np.random.default_rng(1).choice(np.arange(len(year.candles) - YEAR_HOURS, len(year.candles)), checked)
    check(year, rows)
    bars = bars_of(year)
    arms: dict[str, dict[str, Callable[[], Any]]] = {
        "year": engine_calls(year, YEAR_HOURS),
        "hour": engine_calls(year, 1),
        "peer": {"features": lambda: vectorised_features(bars, YEAR_HOURS, POLICY)},
        "part": {"features": lambda: same_columns(bars)},
    }
    taken = {arm: {stage: list[float]() for stage in calls} for arm, calls in arms.items()}
    for _ in range(repeats):
        for arm, calls in arms.items():
            for stage, call in calls.items():
                taken[arm][stage].append(seconds(call))
    return {arm: {stage: statistics.median(times) for stage, times in stages.items()} for arm, stages in taken.items()}


def report(medians: dict[str, dict[str, float]]) -> str:
    """The table of one run."""
    peer, part = medians["peer"]["features"], medians["part"]["features"]
    sums = {"features": ("features",), "scores": ("scores",), "verdicts": ("verdicts",), "features to verdicts": STAGES}
    lines = []
    for name, stages in sums.items():
        year, hour = (sum(medians[arm][stage] for stage in stages) for arm in ("year", "hour"))
        is_first, is_goal = name == "features", name == "features to verdicts"
        lines.append(
            [
                name,
                f"{year * 1e3:.0f} ms",
                f"{peer * 1e3:.0f} ms, {len(COLUMNS)} columns" if is_first else "",
                f"**{peer / year:.1f}x**" if is_first else "",
                f">= {GOAL_RATIO:.0f}x" if is_first else "",
                f"{hour * 1e3:.2f} ms",
                f"<= {GOAL_HOUR_MS} ms" if is_goal else "",
            ]
        )
    lines.insert(
        1, ["the same columns", f"{part * 1e3:.0f} ms", f"{peer * 1e3:.0f} ms", f"**{peer / part:.1f}x**", "", "", ""]
    )
    return markdown_table(["stage", "a year", "peer", "ratio", "goal", "one new hour", "goal"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds; the page is left alone")
    is_quick = parser.parse_args().quick
    repeats, checked = (2, 5) if is_quick else (15, 40)
    table = report(measure(repeats, checked))
    introduction = INTRODUCTION.format(
        hours=YEAR_HOURS,
        repeats=repeats,
        naive=checked,
        columns=len(COLUMNS),
        near=NEAR,
        cores=f"{os.cpu_count()} cores",
        machine=platform.machine(),
        python=platform.python_version(),
    )
    print(table)
    if not is_quick:
        write_section("verdicts", f"{introduction}\n\n{table}")


if __name__ == "__main__":
    main()
