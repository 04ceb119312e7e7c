"""Tests of methods and peers: what each says by hand, and that causal ones do not look ahead."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.evaluation.baselines import Method, Predictor, class_weights, own_methods
from regime_pipeline.evaluation.datasets import (
    REPORTING_SEEDS,
    TUNING_SEEDS,
    LabelledMarket,
    labelled_market,
    null_market,
)
from regime_pipeline.evaluation.peers import PEERS, best_mapping, filtered_states
from regime_pipeline.evaluation.runner import available_methods
from regime_pipeline.services.backtest.classes import ABSTAIN
from regime_pipeline.services.backtest.metrics import score
from regime_pipeline_tests.domain.verdicts.factories import NULLS, POLICY

BARS, TRAIN = 2_000, 1_400
OWN = own_methods(POLICY)


@pytest.fixture(scope="module")
def market() -> LabelledMarket:
    return labelled_market("easy", 77, POLICY, NULLS, BARS)


@functools.cache
def fitted(method: Method) -> Predictor:
    if method.requires and importlib.util.find_spec(method.requires) is None:
        pytest.skip(f"{method.requires} is not installed")
    return method.fit(labelled_market("easy", 77, POLICY, NULLS, BARS), TRAIN)


@pytest.fixture(scope="module")
def prefixes(market: LabelledMarket) -> list[LabelledMarket]:
    """What was known around a change of regime, where a look ahead would help most."""
    changes = np.flatnonzero(np.diff(market.truth)) + 1
    first = int(changes[changes > TRAIN][0])
    parts = [(bars, market.candles[:bars]) for bars in range(first - 40, first + 40, 10)]
    return [LabelledMarket(c, analyze(c, c.open_time_ms, POLICY, NULLS), market.truth[:bars]) for bars, c in parts]


def test_tuning_and_reporting_seeds_are_apart() -> None:
    assert not set(TUNING_SEEDS) & set(REPORTING_SEEDS)
    assert len(REPORTING_SEEDS) >= 10


@pytest.mark.parametrize("method", [*OWN, *PEERS], ids=lambda method: method.name)
def test_a_method_says_no_more_with_the_future_unless_it_is_marked(
    market: LabelledMarket, prefixes: list[LabelledMarket], method: Method
) -> None:
    predict = fitted(method)

    whole = predict(market)

    assert len(whole) == BARS
    assert all(np.array_equal(whole[: len(e.candles)], predict(e)) for e in prefixes) == method.is_causal


@pytest.mark.parametrize("method", [OWN[0], OWN[2], *PEERS[1:4], PEERS[5]], ids=lambda method: method.name)
def test_methods_that_see_the_features_beat_chance_on_easy_markets(market: LabelledMarket, method: Method) -> None:
    found = score(market.truth[TRAIN:], fitted(method)(market)[TRAIN:])

    assert found.balanced_accuracy > 0.40


def test_the_majority_is_one_class_from_the_training_bars(market: LabelledMarket) -> None:
    most = OWN[3].fit(market, TRAIN)(market)

    assert set(most.tolist()) == {int(np.bincount(market.truth[:TRAIN]).argmax())}


def test_the_warm_up_is_abstained_from_and_has_no_weights(market: LabelledMarket) -> None:
    for method in OWN[:3]:
        assert (method.fit(market, TRAIN)(market)[:160] == ABSTAIN).all()
    weights = class_weights(market)
    assert np.isnan(weights[:160]).all()
    np.testing.assert_allclose(weights[500:].sum(axis=1), 1.0)


def test_states_get_the_names_that_fit_best_whatever_their_share() -> None:
    truth = np.array([0] * 80 + [1] * 10 + [2] * 10, dtype=np.int8)
    states = np.array([2] * 80 + [0] * 10 + [1] * 10)

    assert best_mapping(states, truth)[states].tolist() == truth.tolist()


def test_the_filter_is_the_forward_pass() -> None:
    """Two bars by hand: belief is prior times likelihood, then one step of the chain."""
    transition = np.array([[0.9, 0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    likelihood = np.log(np.array([[0.5, 0.1, 0.1], [0.05, 0.6, 0.1]]))

    states = filtered_states(np.array([0.8, 0.1, 0.1]), transition, likelihood)

    first = np.array([0.4, 0.01, 0.01]) / 0.42
    second = (first @ transition) * [0.05, 0.6, 0.1]
    assert states.tolist() == [0, int(second.argmax())]


def test_a_driftless_walk_has_no_truth() -> None:
    walk = null_market(3, POLICY, NULLS, 300)

    assert set(walk.truth.tolist()) == {ABSTAIN}
    assert replace(walk, truth=walk.truth).features.shape == (300, 8)


def test_a_peer_that_needs_no_library_runs_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    present, absent = available_methods(POLICY)

    assert [peer for peer in PEERS if not peer.requires] == [method for method in present if method in PEERS] != []
    assert all(peer.requires for peer in absent)
