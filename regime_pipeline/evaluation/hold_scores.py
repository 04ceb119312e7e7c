"""How good hold probabilities are: skill over climatology, calibration, reliability, and simple baselines beside them.

See `hold_forecasts` for the forecasts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.hold.model import HoldModel
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.evaluation.hold_forecasts import Forecasts

PLAIN_BARRIER: Final = HoldModel(0.0, 0.0, 0.0, 0.0, -700.0, 0.0)
"""The two-barrier formula with the week's volatility as if it were known and stayed: no forecast, no uncertainty."""
WEEK_MS: Final = 7 * 24 * 3_600_000
BINS: Final = 15
_TINY: Final = 1e-12
Baseline = Callable[[Forecasts], Float64]


class HoldScore(NamedTuple):
    """Figures of one forecaster on n bands.

    Parameters
    ----------
    forecasts : int
        n.
    skill : float
        1 - Brier / Brier of the share that held at each horizon, in the judged bands themselves.
    by_horizon : dict of int to float
        The same, horizon by horizon.
    log_loss : float
        Mean, nats.
    calibration_error : float
        Expected calibration error over 15 bins of equal mass.
    """

    forecasts: int
    skill: float
    by_horizon: dict[int, float]
    log_loss: float
    calibration_error: float


def score(judged: Forecasts, probability: Float64) -> HoldScore:
    """Return the figures of probabilities, float64 of shape (n,), on the bands they were given for."""
    held = judged.held.astype(np.float64)
    clipped = np.clip(probability, _TINY, 1 - _TINY)
    error, base = (probability - held) ** 2, (climatology(judged) - held) ** 2
    return HoldScore(
        len(judged),
        float(1 - error.sum() / base.sum()),
        {t: float(1 - error[at].sum() / base[at].sum()) for t, at in by_horizon(judged).items()},
        float(-np.log(np.where(judged.held, clipped, 1 - clipped)).mean()),
        reliability_error(judged.held, probability),
    )


def by_horizon(judged: Forecasts) -> dict[int, NDArray[np.bool_]]:
    """Return which bands belong to each horizon, shortest first."""
    return {int(t): judged.ahead == t for t in np.unique(judged.ahead)}


def climatology(judged: Forecasts) -> Float64:
    """Return the share that held at each band's horizon, known with hindsight: the yardstick of skill."""
    out = np.empty(len(judged))
    for at in by_horizon(judged).values():
        out[at] = judged.held[at].mean()
    return out


def reliability(held: NDArray[np.bool_], probability: Float64, bins: int = 10) -> list[tuple[int, float, float]]:
    """Return count, mean probability and share that held, by bins of equal mass, least probable first.

    Equal probabilities share a bin, so few distinct ones make fewer bins.
    """
    edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins))
    bin_of = np.searchsorted(edges, probability, side="left")
    parts = [bin_of == number for number in np.unique(bin_of)]
    return [(int(part.sum()), float(probability[part].mean()), float(held[part].mean())) for part in parts]


def reliability_error(held: NDArray[np.bool_], probability: Float64) -> float:
    """Return the expected calibration error over 15 bins of equal mass, 0..1."""
    rows = reliability(held, probability, BINS)
    return sum(count * abs(said - came) for count, said, came in rows) / max(len(held), 1)


def skill_interval(judged: Forecasts, probability: Float64, draws: int = 400, seed: int = 1) -> tuple[float, float]:
    """Return the 95 % interval of the skill by resampling calendar weeks, all markets of a week together."""
    held = judged.held.astype(np.float64)
    _, week = np.unique(judged.hour // WEEK_MS, return_inverse=True)
    sums = [np.bincount(week, weights) for weights in ((probability - held) ** 2, (climatology(judged) - held) ** 2)]
    drawn = np.random.default_rng(seed).integers(0, len(sums[0]), (draws, len(sums[0])))
    skills = 1 - sums[0][drawn].sum(axis=1) / sums[1][drawn].sum(axis=1)
    low, high = np.quantile(skills, [0.025, 0.975])
    return float(low), float(high)


def fit_width_alone(fitted: Forecasts) -> Baseline:
    """Return a baseline that knows the band's width in per cent, not the volatility: a quadratic logit per horizon."""
    return _quadratic_logit(fitted, lambda bands: np.log(np.log(bands.upper / bands.lower)))


def fit_volatility_alone(fitted: Forecasts) -> Baseline:
    """Return a baseline that knows the week's volatility, not the band: a quadratic logit per horizon."""
    return _quadratic_logit(fitted, lambda bands: np.log(bands.volatility[:, 1]))


def _quadratic_logit(fitted: Forecasts, measure: Baseline) -> Baseline:
    """A logit in one measure and its square, fitted horizon by horizon."""
    weights = {t: _logit_weights(_design(measure(fitted[at])), fitted.held[at]) for t, at in by_horizon(fitted).items()}

    def predict(bands: Forecasts) -> Float64:
        out = np.empty(len(bands))
        for t, at in by_horizon(bands).items():
            out[at] = 1 / (1 + np.exp(-_design(measure(bands[at])) @ weights[t]))
        return out

    return predict


def _design(values: Float64) -> Float64:
    """1, x and x squared; float64, shape (n, 3)."""
    return np.stack([np.ones(len(values)), values, values**2], axis=1)


def _logit_weights(design: Float64, held: NDArray[np.bool_], steps: int = 30) -> Float64:
    """Maximum likelihood by Newton's method, with a trace of ridge for horizons where nearly all held."""
    scale = np.abs(design).max(axis=0)
    scaled, weights = design / scale, np.zeros(design.shape[1])
    for _ in range(steps):
        said = 1 / (1 + np.exp(-np.clip(scaled @ weights, -30, 30)))
        slope = scaled.T @ (held - said) - 1e-6 * weights
        curve = (scaled * (said * (1 - said))[:, None]).T @ scaled + 1e-6 * np.eye(len(weights))
        weights = weights + np.linalg.solve(curve, slope)
    return np.asarray(weights / scale, dtype=np.float64)
