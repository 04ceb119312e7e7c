"""Models of other libraries as run online: hidden Markov, jump, Markov switching; and PELT, which looks ahead.

The libraries are development dependencies, imported when a model is fitted; each learns on the first bars alone.
"""

from __future__ import annotations

import warnings
from itertools import permutations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.evaluation.baselines import Method, Predictor
from regime_pipeline.evaluation.datasets import LabelledMarket
from regime_pipeline.evaluation.kalman_peer import kalman_classes
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASSES, Classes

STATES: Final = len(CLASSES)
_SHORTEST_SEGMENT: Final = 20
_PELT_PENALTY: Final = 60.0
_LEAST_BELIEF: Final = 1e-12
_RESTARTS: Final = 4


class _Scaler:
    """Features as z-scores of the training bars; the warm-up is left out."""

    def __init__(self, market: LabelledMarket, train_bars: int) -> None:
        known = self._known(market.features[:train_bars])
        self.mean, self.deviation = known.mean(axis=0), known.std(axis=0)

    @staticmethod
    def _known(features: Float64) -> Float64:
        return np.asarray(features[~np.isnan(features).any(axis=1)])

    def __call__(self, features: Float64) -> Float64:
        """Scaled rows without the warm-up."""
        return np.asarray((self._known(features) - self.mean) / self.deviation)


def _with_warm_up(states: NDArray[Any], bars: int, mapping: Classes) -> Classes:
    """Classes of every bar; the bars before the first state are abstained from."""
    warm_up = np.full(bars - len(states), ABSTAIN, dtype=np.int8)
    return np.concatenate([warm_up, mapping[states]])


def best_mapping(states: NDArray[Any], truth: Classes) -> Classes:
    """Return the class of each state under the pairing with the most right bars, fixed on the training bars."""
    table = np.zeros((STATES, STATES))
    np.add.at(table, (states, truth), 1)
    table /= np.maximum(table.sum(axis=0), 1.0)
    best = max(permutations(range(STATES)), key=lambda order: sum(table[s, order[s]] for s in range(STATES)))
    return np.array(best, dtype=np.int8)


def _mapped(states: NDArray[Any], market: LabelledMarket, train_bars: int) -> Classes:
    """The mapping of states that end with the last training bar."""
    return best_mapping(states, market.truth[train_bars - len(states) : train_bars])


def filtered_states(start: Float64, transition: Float64, log_likelihood: Float64) -> NDArray[np.int64]:
    """Return the most likely state of each bar given the bars up to it: the forward pass alone; int64, shape (n,)."""
    states = np.empty(len(log_likelihood), dtype=np.int64)
    belief = start
    for row, log_row in enumerate(log_likelihood):
        prior = belief if row == 0 else belief @ transition
        belief = prior * np.exp(log_row - log_row.max()) + _LEAST_BELIEF
        belief = belief / belief.sum()
        states[row] = belief.argmax()
    return states


def _hmm(use_features: bool) -> Any:
    def fit(market: LabelledMarket, train_bars: int) -> Predictor:
        from hmmlearn.hmm import GaussianHMM

        scale = _Scaler(market, train_bars)

        def inputs(other: LabelledMarket, bars: int) -> Float64:
            return scale(other.features[:bars]) if use_features else other.returns[1:bars, None]

        known = inputs(market, train_bars)
        tried = [
            GaussianHMM(STATES, covariance_type="diag", n_iter=60, random_state=seed).fit(known)
            for seed in range(_RESTARTS)
        ]
        model = max(tried, key=lambda fitted: fitted.score(known))

        def states(other: LabelledMarket, bars: int) -> NDArray[np.int64]:
            likelihood = model._compute_log_likelihood(inputs(other, bars))  # noqa: SLF001 - hmmlearn offers no filter
            return filtered_states(model.startprob_, model.transmat_, likelihood)

        mapping = _mapped(states(market, train_bars), market, train_bars)
        return lambda other: _with_warm_up(states(other, len(other.candles)), len(other.candles), mapping)

    return fit


def _jump(penalty: float) -> Any:
    def fit(market: LabelledMarket, train_bars: int) -> Predictor:
        from jumpmodels.jump import JumpModel

        scale = _Scaler(market, train_bars)
        model = JumpModel(n_components=STATES, jump_penalty=penalty, cont=False, random_state=0)
        model.fit(scale(market.features[:train_bars]))

        def states(other: LabelledMarket, bars: int) -> NDArray[Any]:
            return np.asarray(model.predict_online(scale(other.features[:bars])), dtype=np.int64)

        mapping = _mapped(states(market, train_bars), market, train_bars)
        return lambda other: _with_warm_up(states(other, len(other.candles)), len(other.candles), mapping)

    return fit


def _markov_switching(market: LabelledMarket, train_bars: int) -> Predictor:
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    def model(other: LabelledMarket, bars: int) -> Any:
        return MarkovRegression(other.returns[1:bars], k_regimes=STATES, switching_variance=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence is judged by what comes out
        fitted = model(market, train_bars).fit(em_iter=10, maxiter=50, disp=False)

    def states(other: LabelledMarket, bars: int) -> NDArray[Any]:
        found = model(other, bars).filter(fitted.params).filtered_marginal_probabilities
        return np.asarray(np.asarray(found).argmax(axis=1))

    mapping = _mapped(states(market, train_bars), market, train_bars)
    return lambda other: _with_warm_up(states(other, len(other.candles)), len(other.candles), mapping)


def _pelt(market: LabelledMarket, train_bars: int) -> Predictor:
    import ruptures

    scale = _Scaler(market, train_bars)
    known = scale(market.features[:train_bars])
    truth = market.truth[train_bars - len(known) : train_bars]
    centroids = np.array([known[truth == code].mean(axis=0) for code in range(STATES)])

    def predict(other: LabelledMarket) -> Classes:
        rows = scale(other.features)
        ends = ruptures.Pelt(model="l2", min_size=_SHORTEST_SEGMENT, jump=5).fit(rows).predict(pen=_PELT_PENALTY)
        classes = np.empty(len(rows), dtype=np.int64)
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            distance = np.linalg.norm(centroids - rows[first:end].mean(axis=0), axis=1)
            classes[first:end] = distance.argmin()
        return _with_warm_up(classes, len(other.candles), np.arange(STATES, dtype=np.int8))

    return predict


PEERS: Final = (
    Method("hmmlearn, 3 states, returns, filtered", _hmm(use_features=False), requires="hmmlearn"),
    Method("hmmlearn, 3 states, 8 features, filtered", _hmm(use_features=True), requires="hmmlearn"),
    Method("jumpmodels, penalty 10, online", _jump(10.0), requires="jumpmodels"),
    Method("jumpmodels, penalty 50, online", _jump(50.0), requires="jumpmodels"),
    Method("statsmodels Markov switching, returns, filtered", _markov_switching, requires="statsmodels"),
    Method("ruptures PELT + nearest centroid (LOOKAHEAD)", _pelt, is_causal=False, requires="ruptures"),
    Method("Condor's Kalman regime check, 60 bars", lambda *_: kalman_classes),
)
