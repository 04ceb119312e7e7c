"""Figures of the posterior and of the verdict: `python -m regime_pipeline.evaluation.posterior_report`.

See `posterior_markets` for markets and seeds, `docs/probabilities.md` for what the figures mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.scoring.posterior import (
    RANGE,
    PosteriorModel,
    class_probabilities,
    range_ok_share,
    verdict_weights,
)
from regime_pipeline.domain.verdicts.rules import RANGE_OK
from regime_pipeline.evaluation.baselines import Method, rule_classes
from regime_pipeline.evaluation.datasets import TRAIN_BARS
from regime_pipeline.evaluation.peers import PEERS
from regime_pipeline.evaluation.posterior_markets import (
    FOREIGN_SEEDS,
    NULL_SEEDS,
    OWN_SEEDS,
    PosteriorMarket,
    foreign,
    own,
    unseen,
    walks,
)
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.services.backtest.classes import CLASS_OF_VERDICT, Classes
from regime_pipeline.services.backtest.metrics import brier, score
from regime_pipeline.services.posterior_model import default_posterior

ECE_BINS: Final = 15
_TENTHS: Final = 10
_JUMP_MODELS: Final = tuple(peer for peer in PEERS if peer.requires == "jumpmodels")


class Judged(NamedTuple):
    """What the verdict says on the judged rows of one market; shape (n,) or (classes, n)."""

    verdict: NDArray[np.int8]
    probabilities: Float64
    weights: Float64
    truth: Classes


def judge(one: PosteriorMarket, model: PosteriorModel, policy: Policy) -> Judged:
    """Return verdicts, class probabilities and the four weights of the judged rows."""
    probabilities = class_probabilities(one.columns, model)
    verdict = one.verdicts(probabilities, policy)
    rows = one.market.analysis
    share = range_ok_share(probabilities[RANGE], verdict == RANGE_OK, rows.features, rows.scores, policy, model)
    weights = verdict_weights(probabilities, share)
    at = one.judged
    return Judged(verdict[at], probabilities[:, at], weights[:, at], one.market.truth[at])


def by_scores(one: PosteriorMarket, policy: Policy) -> NDArray[np.int8]:
    """Return the verdicts of the judged rows where the scores alone decide, as without a posterior model."""
    return one.verdicts(np.full((3, len(one.market.truth)), np.nan), policy)[one.judged]


def calibration(confidence: Float64, is_right: NDArray[np.bool_], bins: int = ECE_BINS) -> float:
    """Return the expected calibration error over bins of equal mass, 0..1."""
    order = np.argsort(confidence, kind="stable")
    gaps = [abs(confidence[part].mean() - is_right[part].mean()) * len(part) for part in np.array_split(order, bins)]
    return float(np.sum(gaps) / len(order))


def shares_right(confidence: Float64, is_right: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return the share right in each tenth of the hours by confidence, lowest first."""
    order = np.argsort(confidence, kind="stable")
    return tuple(float(is_right[part].mean()) for part in np.array_split(order, _TENTHS))


def class_figures(markets: Sequence[PosteriorMarket], predict: Callable[[PosteriorMarket], Classes]) -> list[float]:
    """Return balanced accuracy, RANGE precision, flip ratio and delay of judged rows, means over the markets."""
    scores = [score(one.market.truth[one.judged], predict(one)) for one in markets]
    rows = [[s.balanced_accuracy, s.range_precision, s.flip_ratio, s.delay_bars] for s in scores]
    return [float(value) for value in np.nanmean(np.array(rows), axis=0)]


def posterior_figures(judged: Sequence[Judged]) -> dict[str, float | tuple[float, ...]]:
    """Return calibration and overrides, pooled over the decided hours of the markets.

    `top`: of the largest class probability. `verdict`: of `confidence`, the probability of the verdict's class.
    """
    p = np.concatenate([one.probabilities for one in judged], axis=1)
    truth = np.concatenate([one.truth for one in judged])
    verdict = np.concatenate([one.verdict for one in judged])
    weights = np.concatenate([one.weights for one in judged], axis=1)
    chosen, rows = CLASS_OF_VERDICT[verdict], np.arange(len(truth))
    confidence, top = p[chosen, rows], p.max(axis=0)
    is_ok = verdict == RANGE_OK
    return {
        "brier": brier(truth, p.T),
        "log loss": float(-np.log(p[truth, rows]).mean()),
        "ECE of the largest": calibration(top, p.argmax(axis=0) == truth),
        "ECE of confidence": calibration(confidence, chosen == truth),
        "right by tenth of the largest": shares_right(top, p.argmax(axis=0) == truth),
        "right by tenth of confidence": shares_right(confidence, chosen == truth),
        "override, classes": float((confidence < top).mean()),
        "override, four weights": float((weights[verdict - 1, rows] < weights.max(axis=0)).mean()),
        "RANGE_OK precision": float((truth[is_ok] == RANGE).mean()),
        "RANGE_OK recall": float(is_ok[truth == RANGE].mean()),
    }


def _jump_classes(method: Method, one: PosteriorMarket) -> Classes:
    return np.asarray(method.fit(one.market, TRAIN_BARS)(one.market)[one.judged])


def print_set(
    name: str, markets: Sequence[PosteriorMarket], model: PosteriorModel, policy: Policy, has_peers: bool
) -> None:
    """Print one set's table rows and the posterior's figures."""
    judged = {id(one): judge(one, model, policy) for one in markets}
    methods: dict[str, Callable[[PosteriorMarket], Classes]] = {
        "verdict": lambda one: CLASS_OF_VERDICT[judged[id(one)].verdict],
        "scores alone": lambda one: CLASS_OF_VERDICT[by_scores(one, policy)],
        "ADX + volatility": lambda one: rule_classes(one.market)[one.judged],
        "largest probability": lambda one: judged[id(one)].probabilities.argmax(axis=0).astype(np.int8),
    }
    if has_peers:
        methods |= {peer.name: partial(_jump_classes, peer) for peer in _JUMP_MODELS}
    for method, predict in methods.items():
        values = class_figures(markets, predict)
        print(f"| {name} | {method} | " + " | ".join(f"{v:.{d}f}" for v, d in zip(values, (3, 3, 1, 1), strict=True)))
    for figure, value in posterior_figures(list(judged.values())).items():
        shown = " ".join(f"{v:.2f}" for v in value) if isinstance(value, tuple) else f"{value:.3f}"
        print(f"  {name}: {figure} {shown}")


def print_walks(model: PosteriorModel, policy: Policy) -> None:
    """Print the share of each verdict on driftless walks, beside those of the scores alone."""
    markets = walks(NULL_SEEDS, policy)
    new = np.concatenate([judge(one, model, policy).verdict for one in markets])
    old = np.concatenate([by_scores(one, policy) for one in markets])
    for code, verdict in enumerate(VERDICTS):
        print(f"| walks | {verdict} | {np.mean(old == code):.3f} | {np.mean(new == code):.3f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of docs/probabilities.md."""
    parser = argparse.ArgumentParser(
        prog="python -m regime_pipeline.evaluation.posterior_report", description=main.__doc__
    )
    parser.add_argument("--peers", action="store_true", help="fit the online jump models too (slow)")
    has_peers = parser.parse_args(arguments).peers
    policy, model = default_policy(), default_posterior()
    print_set("unseen members", unseen(policy), model, policy, has_peers)
    for difficulty, seeds in OWN_SEEDS.items():
        print_set(difficulty, own(difficulty, seeds, policy), model, policy, has_peers)
    print_set("foreign", foreign(FOREIGN_SEEDS, policy), model, policy, has_peers)
    print_walks(model, policy)


if __name__ == "__main__":
    main()
