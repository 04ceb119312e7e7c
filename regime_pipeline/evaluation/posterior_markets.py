"""Labelled markets with the columns of the posterior, and which seeds are for what.

See `fit_posterior` for the fit, `posterior_report` for the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.features.path import PATH_FEATURES, path_features
from regime_pipeline.domain.features.windows import Windows, has_values, locate
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.scoring.posterior import posterior_columns
from regime_pipeline.domain.simulation.family import simulate_member
from regime_pipeline.domain.simulation.foreign import simulate_foreign
from regime_pipeline.domain.simulation.regimes import Difficulty, Simulation, simulate, simulate_null
from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.domain.verdicts.posterior_rules import held_verdicts
from regime_pipeline.domain.verdicts.rules import Evidence, apply_rules, collect_evidence
from regime_pipeline.evaluation.datasets import BARS as OWN_BARS
from regime_pipeline.evaluation.datasets import TEST_BARS, LabelledMarket
from regime_pipeline.policy import Policy
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASS_OF_LABEL, Classes
from regime_pipeline.services.null_table import default_null_table

BARS: Final = 4_000
FIT_SEEDS: Final = range(1, 81)
FIT_OWN_SEEDS: Final = range(100, 108)
TUNE_SEEDS: Final = range(201, 221)
TUNE_NULL_SEEDS: Final = range(1_100_000, 1_100_016)
UNSEEN_SEEDS: Final = range(301, 317)
FOREIGN_SEEDS: Final = range(501, 517)
OWN_SEEDS: Final[dict[Difficulty, range]] = {
    "medium": range(7_000, 7_012),
    "easy": range(7_000, 7_006),
    "hard": range(7_000, 7_006),
}
NULL_SEEDS: Final = range(1_007_000, 1_007_012)
JUDGED: Final = slice(-TEST_BARS, None)
_MARKET: Final = Market("POSTERIOR-USDT", "1h")


@dataclass(frozen=True, eq=False)
class PosteriorMarket:
    """A market with everything that the posterior and its rule read.

    Parameters
    ----------
    market : LabelledMarket
        Candles, rows of the engine, true classes (all ABSTAIN on a driftless walk).
    columns : ndarray of float64, shape (c, n)
        From `posterior_columns`.
    evidence : Evidence
        What the rules compare with their bounds, shape (n,) each.
    judged : slice
        Rows that figures are made of.
    """

    market: LabelledMarket
    columns: Float64
    evidence: Evidence
    judged: slice

    def verdicts(self, probabilities: Float64, policy: Policy) -> NDArray[np.int8]:
        """Return the verdict of every row under other class probabilities than the stored ones, NaN for none.

        Parameters
        ----------
        probabilities : ndarray of float64, shape (3, n)
            From `class_probabilities`.
        policy : Policy
            Section `verdict`.
        """
        p_range, p_trend, p_volatile = probabilities
        evidence = replace(self.evidence, p_range=p_range, p_trend=p_trend, p_volatile=p_volatile)
        places = np.arange(len(p_range), dtype=np.int64)
        return held_verdicts(evidence, apply_rules(evidence, policy), places, policy)


def with_columns(candles: Candles, truth: Classes, policy: Policy, judged: slice = slice(None)) -> PosteriorMarket:
    """Return a market of unbroken hourly candles with its columns."""
    analysis = analyze(candles, candles.open_time_ms, policy, default_null_table())
    features = analysis.features | with_path(candles, policy)
    places = np.arange(len(candles), dtype=np.int64)
    calendar = Observations.of(features, candles.market)
    columns = posterior_columns(calendar, places, analysis.scores, policy)
    evidence = collect_evidence(Observations.of(features | analysis.scores, candles.market))
    labelled = LabelledMarket(candles, analysis, truth)
    return PosteriorMarket(labelled, columns, evidence, judged)


def with_path(candles: Candles, policy: Policy) -> Rows:
    """Return the path features of every candle's hour, NaN where its window is not whole."""
    where = locate(candles, candles.open_time_ms, policy.features.window_bars, policy.candle_regime.holes)
    is_ok = has_values(where.status)
    found = path_features(Windows.of(candles, where.row[is_ok], policy.features))
    rows = {name: np.full(len(candles), np.nan) for name in PATH_FEATURES}
    for name, values in found.items():
        rows[name][is_ok] = values
    return rows


def simulated(
    generate: Callable[[int], Simulation], seeds: Iterable[int], policy: Policy, judged: slice = slice(None)
) -> list[PosteriorMarket]:
    """Return one market per seed."""
    made = (generate(seed) for seed in seeds)
    return [with_columns(one.candles, CLASS_OF_LABEL[one.labels], policy, judged) for one in made]


def members(
    seeds: Iterable[int], policy: Policy, bars: int = BARS, judged: slice = slice(None)
) -> list[PosteriorMarket]:
    """Return members of the family."""
    return simulated(lambda seed: simulate_member(_MARKET, bars, seed), seeds, policy, judged)


def own(difficulty: Difficulty, seeds: Iterable[int], policy: Policy) -> list[PosteriorMarket]:
    """Return markets of a fixed difficulty, judged on their last bars as in the accuracy report."""
    generate = partial(simulate, _MARKET, OWN_BARS, difficulty=difficulty)
    return simulated(generate, seeds, policy, JUDGED)


def foreign(seeds: Iterable[int], policy: Policy) -> list[PosteriorMarket]:
    """Return markets of the generator that nothing is fitted on."""
    return simulated(lambda seed: simulate_foreign(_MARKET, OWN_BARS, seed), seeds, policy, JUDGED)


def walks(seeds: Iterable[int], policy: Policy) -> list[PosteriorMarket]:
    """Return driftless walks."""
    candles = (simulate_null(_MARKET, OWN_BARS, seed) for seed in seeds)
    return [with_columns(one, np.full(OWN_BARS, ABSTAIN, dtype=np.int8), policy, JUDGED) for one in candles]


def unseen(policy: Policy) -> list[PosteriorMarket]:
    """Return the members that nothing was fitted or tuned on, as long as the other markets that are reported."""
    return members(UNSEEN_SEEDS, policy, OWN_BARS, JUDGED)
