"""The tables of docs/probabilities.md: the fitted numbers beside simple baselines, on data that were not fitted.

See `hold_scores` for the scores, `hold_markets` for the split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from regime_pipeline.domain.hold.model import HoldModel
from regime_pipeline.domain.market_data.resample import resample_complete
from regime_pipeline.evaluation.hold_forecasts import (
    JUDGED_HORIZONS,
    Forecasts,
    discovered_ranges,
    drawn_bands,
    joined,
)
from regime_pipeline.evaluation.hold_markets import FIT, HELD_OUT, HoldSeries
from regime_pipeline.evaluation.hold_scores import (
    PLAIN_BARRIER,
    Baseline,
    climatology,
    fit_volatility_alone,
    fit_width_alone,
    reliability,
    score,
    skill_interval,
)
from regime_pipeline.evaluation.markdown import markdown_table
from regime_pipeline.policy import default_policy

EVERY_HOURS: Final = 3
BAR_HOURS: Final = 4
RANGE_HORIZONS: Final = (24, 72)
EARLIER: Final = HoldModel(-0.29149, 0.34668, 0.38999, 0.17419, -0.74042, -0.10454)
"""An earlier fit of the same formula, which also used the unseen year and markets; judged beside the shipped one."""


def report(model: HoldModel, fitted: Forecasts, series: Sequence[HoldSeries], seed: int) -> str:
    """Return every table as Markdown.

    Parameters
    ----------
    model : HoldModel
        What was fitted.
    fitted : Forecasts
        The bands it was fitted on; baselines are fitted on the same.
    series : sequence of HoldSeries
        The whole split.
    seed : int
        Draws the bands that are judged.
    """
    rng = np.random.default_rng(seed)
    parts = {part: _drawn(series, part, rng) for part in HELD_OUT}
    baselines = _baselines(model, fitted)
    everything = joined(list(parts.values()))
    policy = default_policy()
    ranges = {
        is_fit: joined(
            [discovered_ranges(s.candles, policy, RANGE_HORIZONS) for s in series if (s.part == FIT) == is_fit]
        )
        for is_fit in (True, False)
    }
    longer = {
        timeframe: joined(
            [
                drawn_bands(resample_complete(s.candles, timeframe), rng, BAR_HOURS, JUDGED_HORIZONS)
                for s in series
                if s.part != FIT
            ]
        )
        for timeframe in ("4h", "2h")
    }
    said = {name: baseline(everything) for name, baseline in baselines.items()}
    tables = [
        ("Drawn bands, all held-out markets and years", _skill_table(everything, said)),
        ("By part", _part_table(parts, baselines)),
        ("Reliability by tenths", _reliability_table(everything, model)),
        ("Discovered range", _skill_table(ranges[False], _said(_baselines(model, ranges[True]), ranges[False]))),
        ("Reliability of the discovered range", _reliability_table(ranges[False], model)),
        *(
            (f"{timeframe} bars", _skill_table(bands, {"six numbers": bands.probability(model)}))
            for timeframe, bands in longer.items()
        ),
    ]
    return "\n\n".join(f"## {title}\n\n{table}" for title, table in tables)


def _drawn(series: Sequence[HoldSeries], part: str, rng: np.random.Generator) -> Forecasts:
    return joined([drawn_bands(s.candles, rng, EVERY_HOURS, JUDGED_HORIZONS) for s in series if s.part == part])


def _baselines(model: HoldModel, fitted: Forecasts) -> dict[str, Baseline]:
    """Every forecaster by name, simplest first."""
    return {
        "climatology": climatology,
        "width alone": fit_width_alone(fitted),
        "volatility alone": fit_volatility_alone(fitted),
        "plain barrier": lambda bands: bands.probability(PLAIN_BARRIER),
        "six numbers, earlier fit": lambda bands: bands.probability(EARLIER),
        "six numbers": lambda bands: bands.probability(model),
    }


def _said(baselines: Mapping[str, Baseline], judged: Forecasts) -> dict[str, np.ndarray]:
    return {name: baseline(judged) for name, baseline in baselines.items()}


def _skill_table(judged: Forecasts, said: Mapping[str, np.ndarray]) -> str:
    """Skill over climatology with its interval, by horizon, log loss and calibration error of each forecaster."""
    horizons = [int(t) for t in np.unique(judged.ahead)]
    rows = [[f"{len(judged):,} bands", "skill [95 %]", *(f"{t} h" for t in horizons), "log loss", "ECE"]]
    for name, probability in said.items():
        found, (low, high) = score(judged, probability), skill_interval(judged, probability)
        shares = (_three(found.by_horizon[t]) for t in horizons)
        skill = f"{_three(found.skill)} [{_three(low)}, {_three(high)}]"
        rows.append([name, skill, *shares, _three(found.log_loss), _three(found.calibration_error)])
    return markdown_table(rows[0], rows[1:])


def _part_table(parts: Mapping[str, Forecasts], baselines: Mapping[str, Baseline]) -> str:
    """Skill and calibration error of each forecaster on each part of the held-out data."""
    rows = [["skill / ECE", *(f"{name} ({len(bands):,})" for name, bands in parts.items())]]
    for name, baseline in baselines.items():
        found = [score(bands, baseline(bands)) for bands in parts.values()]
        rows.append([name, *(f"{_three(one.skill)} / {_three(one.calibration_error)}" for one in found)])
    return markdown_table(rows[0], rows[1:])


def _reliability_table(judged: Forecasts, model: HoldModel) -> str:
    """What was said and what came, tenth by tenth."""
    found = reliability(judged.held, judged.probability(model))
    rows = [["said", *(f"{row[1]:.2f}" for row in found)], ["held", *(f"{row[2]:.2f}" for row in found)]]
    return markdown_table(["tenth", *map(str, range(1, len(found) + 1))], rows)


def _three(value: float) -> str:
    """Three decimals without the leading zero."""
    return f"{value:.3f}".replace("0.", ".", 1)
