"""Fits the six numbers of the hold model: maximum likelihood on drawn bands of real markets.

`python -m regime_pipeline.evaluation.fit_hold FOLDER` writes the numbers shipped with the package and prints how they
do on markets and years that were not fitted; the same folder and seed give the same numbers. See `hold_markets` for the
split, `hold_report` for the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from regime_pipeline.domain.hold.model import HoldModel
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.evaluation.hold_forecasts import Forecasts, drawn_bands, joined
from regime_pipeline.evaluation.hold_markets import FIT, HoldSeries, read_markets
from regime_pipeline.evaluation.hold_report import report
from regime_pipeline.services.hold_model import HOLD_MODEL_PATH, save_hold_model

SEED: Final = 20_260_901
EVERY_HOURS: Final = 3
START: Final = HoldModel(0.0, 0.3, 0.1, 0.0, float(np.log(0.35)), -0.1)
_NUDGE: Final = 1e-5
_STEPS: Final = 40
_CLOSE_ENOUGH: Final = 1e-6
_EDGE: Final = 1e-9


def bands_to_fit(series: Sequence[HoldSeries], seed: int = SEED, every_hours: int = EVERY_HOURS) -> Forecasts:
    """Draw the bands that the model is fitted on."""
    rng = np.random.default_rng(seed)
    return joined([drawn_bands(one.candles, rng, every_hours) for one in series if one.part == FIT])


def fit_hold_model(bands: Forecasts, start: HoldModel = START) -> HoldModel:
    """Return the model of the highest likelihood, by Fisher scoring.

    Parameters
    ----------
    bands : Forecasts
        With outcomes; as many as there are, thousands at least.
    start : HoldModel
        Where the search begins.

    Returns
    -------
    HoldModel
        Coefficients rounded to five decimals, as they are stored.

    Notes
    -----
    The outcome of a band is a coin with the probability that the model gives, so the expected information is
    sum(g g' / (p (1 - p))) with g the slope of p in the coefficients, taken by central differences. A step that does
    not raise the likelihood is halved.
    """
    at, likelihood = start.coefficients, _log_likelihood(bands, start.coefficients)
    for _ in range(_STEPS):
        step = _scoring_step(bands, at)
        while (raised := _log_likelihood(bands, at + step)) < likelihood and np.abs(step).max() > _CLOSE_ENOUGH:
            step = step / 2
        if raised < likelihood:
            break
        at, likelihood = at + step, raised
        if np.abs(step).max() < _CLOSE_ENOUGH:
            break
    return HoldModel(*(round(float(value), 5) for value in at))


def _probability(bands: Forecasts, coefficients: Float64) -> Float64:
    return np.clip(bands.probability(HoldModel(*coefficients.tolist())), _EDGE, 1 - _EDGE)


def _log_likelihood(bands: Forecasts, coefficients: Float64) -> float:
    said = _probability(bands, coefficients)
    return float(np.log(np.where(bands.held, said, 1 - said)).sum())


def _scoring_step(bands: Forecasts, at: Float64) -> Float64:
    """Inverse expected information times the slope of the log-likelihood; float64, shape (6,)."""
    said = _probability(bands, at)
    nudges = _NUDGE * np.eye(len(at))
    slopes = np.stack([_probability(bands, at + n) - _probability(bands, at - n) for n in nudges]) / (2 * _NUDGE)
    weighted = slopes / (said * (1 - said))
    return np.asarray(np.linalg.solve(weighted @ slopes.T, weighted @ (bands.held - said)), dtype=np.float64)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the hold model on a folder of real markets, write it, and print how it does on those it never saw."""
    parser = argparse.ArgumentParser(prog="python -m regime_pipeline.evaluation.fit_hold", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="folder of the shared market data")
    parser.add_argument("--output", type=Path, default=HOLD_MODEL_PATH, help="file to write")
    parser.add_argument("--seed", type=int, default=SEED, help="draws the bands")
    chosen = parser.parse_args(arguments)
    series = read_markets(chosen.folder)
    bands = bands_to_fit(series, chosen.seed)
    model = fit_hold_model(bands)
    made_from = {"seed": chosen.seed, "every_hours": EVERY_HOURS, "bands": len(bands)}
    save_hold_model(chosen.output, model, made_from)
    print(report(model, bands, series, chosen.seed + 1))


if __name__ == "__main__":
    main()
