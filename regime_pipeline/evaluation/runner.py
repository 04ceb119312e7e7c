"""Judges every method on every market, in worker processes, and returns plain figures.

See `accuracy_report` for wording and layout.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.simulation.regimes import Difficulty
from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.evaluation.baselines import Method, class_weights, own_methods
from regime_pipeline.evaluation.datasets import (
    EMBARGO_BARS,
    TEST_BARS,
    TRAIN_BARS,
    LabelledMarket,
    labelled_market,
    null_market,
)
from regime_pipeline.evaluation.peers import PEERS
from regime_pipeline.policy import Policy
from regime_pipeline.services.backtest.classes import CLASSES, RANGE, TREND
from regime_pipeline.services.backtest.metrics import Score, brier, calibration_error, score
from regime_pipeline.services.null_table import default_null_table

NULL_SEED_OFFSET: Final = 1_000_000
"""Added to a market's seed for its driftless walk, so that these are apart from the null table's own."""
_CUTS: Final = 4
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Bars to learn on, to leave out and to judge on."""

    train: int = TRAIN_BARS
    embargo: int = EMBARGO_BARS
    test: int = TEST_BARS

    @property
    def bars(self) -> int:
        """All of them."""
        return self.train + self.embargo + self.test


@dataclass(frozen=True, slots=True)
class VerdictDetail:
    """What only the verdict has: the tradable range, the weights, revisions.

    Parameters
    ----------
    range_ok_precision, range_ok_recall : float
        Of RANGE_OK alone against true RANGE.
    trend_called_weak : float
        Share of true TREND hours called RANGE_WEAK.
    brier, calibration_error : float
        Of the three class weights.
    revised_share : float
        Share of verdicts that came out otherwise when only the bars up to then were there.
    """

    range_ok_precision: float
    range_ok_recall: float
    trend_called_weak: float
    brier: float
    calibration_error: float
    revised_share: float


@dataclass(frozen=True, slots=True)
class MarketResult:
    """Everything of one simulated market, and of its driftless walk where there is one.

    Parameters
    ----------
    scores : dict of str to Score
        By method; without those that could not be fitted here.
    failures : dict of str to str
        What the library said, by method that could not be fitted here.
    detail : VerdictDetail
        Of the verdict.
    null_shares : dict of str to list of float
        By method, share of each class on the walk, abstention last; empty without a walk.
    null_verdicts : list of float
        Share of each of `schema.VERDICTS` on the walk; empty without a walk.
    """

    difficulty: str
    seed: int
    scores: dict[str, Score]
    detail: VerdictDetail
    null_shares: dict[str, list[float]] = field(default_factory=dict)
    null_verdicts: list[float] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def available_methods(policy: Policy, with_peers: bool = True) -> tuple[tuple[Method, ...], tuple[Method, ...]]:
    """Return the methods that can run here, and the peers whose library is not installed."""
    peers = PEERS if with_peers else ()
    absent = tuple(peer for peer in peers if peer.requires and importlib.util.find_spec(peer.requires) is None)
    return (*own_methods(policy), *(peer for peer in peers if peer not in absent)), absent


def judge_market(
    policy: Policy, with_peers: bool, lengths: Lengths, has_null: bool, difficulty: Difficulty, seed: int
) -> MarketResult:
    """Judge every available method on one market; the last `lengths.test` bars count."""
    logging.getLogger("hmmlearn").setLevel(logging.ERROR)  # tells of restarts that do not converge; the best is kept
    nulls = default_null_table()
    market = labelled_market(difficulty, seed, policy, nulls, lengths.bars)
    walk = null_market(seed + NULL_SEED_OFFSET, policy, nulls, lengths.bars) if has_null else None
    judged = slice(-lengths.test, None)
    scores: dict[str, Score] = {}
    shares: dict[str, list[float]] = {}
    failures: dict[str, str] = {}
    for method in available_methods(policy, with_peers)[0]:
        try:
            predict = method.fit(market, lengths.train)
        except (np.linalg.LinAlgError, ValueError) as error:
            failures[method.name] = f"{type(error).__name__}: {error}"
            continue
        scores[method.name] = score(market.truth[judged], predict(market)[judged])
        if walk is not None:
            counts = np.bincount(predict(walk)[judged] % (len(CLASSES) + 1), minlength=len(CLASSES) + 1)
            shares[method.name] = (counts / lengths.test).tolist()
    found = [] if walk is None else _verdict_shares(walk, judged)
    return MarketResult(difficulty, seed, scores, _detail(market, judged, policy), shares, found, failures)


def _verdict_shares(market: LabelledMarket, judged: slice) -> list[float]:
    codes = market.analysis.verdicts["verdict"][judged]
    shares: list[float] = (np.bincount(codes, minlength=len(VERDICTS)) / len(codes)).tolist()
    return shares


def _detail(market: LabelledMarket, judged: slice, policy: Policy) -> VerdictDetail:
    """The figures that only the verdict has."""
    verdict, truth = market.analysis.verdicts["verdict"][judged], market.truth[judged]
    is_ok, weights = verdict == VERDICTS.index("RANGE_OK"), class_weights(market)[judged]
    known = ~np.isnan(weights).any(axis=1)
    is_range, is_trend = truth == RANGE, truth == TREND
    return VerdictDetail(
        range_ok_precision=_share(is_range, is_ok),
        range_ok_recall=_share(is_ok, is_range),
        trend_called_weak=_share(verdict == VERDICTS.index("RANGE_WEAK"), is_trend),
        brier=brier(truth[known], weights[known]),
        calibration_error=calibration_error(truth[known], weights[known]),
        revised_share=_revised_share(market, policy),
    )


def _share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    """Share of hits among some bars; NaN where there are none of those."""
    return float(np.mean(hits[among])) if among.any() else float("nan")


def _revised_share(market: LabelledMarket, policy: Policy) -> float:
    """Verdicts of prefixes that differ from those of the whole market."""
    whole, hours, differing, compared = market.analysis.verdicts["verdict"], market.candles.open_time_ms, 0, 0
    for cut in np.linspace(0, len(hours), _CUTS + 2)[1:-1].astype(int).tolist():
        part = analyze(market.candles[:cut], hours[:cut], policy, default_null_table()).verdicts["verdict"]
        differing, compared = differing + int(np.sum(part != whole[:cut])), compared + cut
    return differing / compared


def judge(
    policy: Policy,
    difficulties: Sequence[Difficulty],
    seeds: Iterable[int],
    *,
    with_peers: bool = True,
    jobs: int = 2,
    lengths: Lengths | None = None,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[MarketResult]:
    """Return the results of every market, in order.

    Parameters
    ----------
    policy : Policy
        Of the engine.
    difficulties : sequence of str
        Of the simulation; driftless walks are judged along with the first one.
    seeds : iterable of int
        One market each per difficulty.
    with_peers : bool
        Whether to fit the peers whose library is installed.
    jobs : int
        Worker processes; 0 works in this one.
    lengths : Lengths, optional
        Bars per market.
    tell : callable
        Called after each market with how many of how many are done.
    """
    tasks = [(difficulty, seed) for difficulty in difficulties for seed in seeds]
    work = partial(judge_market, policy, with_peers, lengths or Lengths())
    if not jobs:
        return [work(d == difficulties[0], d, seed) for d, seed in tasks]
    os.environ.update({name: "1" for name in _THREADS if name not in os.environ})  # workers inherit it
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(work, d == difficulties[0], d, seed) for d, seed in tasks]
        for done, _ in enumerate(as_completed(futures), 1):
            tell(done, len(tasks))
    return [future.result() for future in futures]
