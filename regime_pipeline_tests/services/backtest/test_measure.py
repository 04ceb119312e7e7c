"""Tests of `services.backtest.measure` and `labels` against plain Python over the same rows."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.schema import DIRECTIONS, VERDICTS
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASS_OF_VERDICT, CLASSES
from regime_pipeline.services.backtest.figures import Distribution, LabelFigures
from regime_pipeline.services.backtest.hours import BacktestHours
from regime_pipeline.services.backtest.labels import label_figures
from regime_pipeline.services.backtest.measure import RETURN_GROUPS, distribution, measure
from regime_pipeline.services.backtest.metrics import score
from regime_pipeline_tests.services.backtest.factories import ALFA, BRAVO, hours_of, market_rows

BOTH = st.tuples(market_rows(ALFA), market_rows(BRAVO))


def names(rows: BacktestHours) -> list[str]:
    return [VERDICTS[code] for code in rows.verdict]


def near(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)


def mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return math.fsum(found) / len(found) if found else None


def steps(rows: BacktestHours) -> list[tuple[str, str]]:
    """Verdicts of each hour and the very next one."""
    pairs = itertools.pairwise(zip(rows.hour_start.tolist(), names(rows), strict=True))
    return [(a, b) for (first, a), (then, b) in pairs if then - first == 3_600_000]


def runs(rows: BacktestHours) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    previous = None
    for hour, name in zip(rows.hour_start.tolist(), names(rows), strict=True):
        if found and previous == hour - 3_600_000 and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + 1)
        else:
            found.append((name, 1))
        previous = hour
    return found


@settings(max_examples=40)
@given(BOTH)
def test_counts_spells_and_transitions(both: tuple[BacktestHours, BacktestHours]) -> None:
    figures = measure(both)

    counts = Counter(itertools.chain(*map(names, both)))
    pairs = Counter(itertools.chain(*map(steps, both)))
    lengths = list(itertools.chain(*map(runs, both)))
    assert figures.hours == sum(map(len, both))
    assert figures.missing == sum(rows.asked - len(rows) for rows in both)
    assert figures.without_bar == sum(math.isnan(close) for rows in both for close in rows.close)
    assert {(a, b): n for a, row in figures.transitions.items() for b, n in row.items() if n} == dict(pairs)
    assert figures.changes == sum(n for (a, b), n in pairs.items() if a != b)
    assert figures.changes_per_day == near(figures.changes * 24 / pairs.total() if pairs else None)
    for name, found in figures.verdicts.items():
        spells = [length for verdict, length in lengths if verdict == name]
        assert (found.hours, found.dwell.spells) == (counts[name], len(spells))
        assert found.share == near(counts[name] / max(figures.hours, 1))
        assert found.dwell.mean_hours == near(mean(spells))
        assert found.dwell.median_hours == near(statistics.median(spells) if spells else None)
        assert found.dwell.longest_hours == near(max(spells, default=None))


@settings(max_examples=40)
@given(BOTH)
def test_confidences_by_verdict(both: tuple[BacktestHours, BacktestHours]) -> None:
    figures = measure(both)

    pairs = [(n, c) for rows in both for n, c in zip(names(rows), rows.confidence.tolist(), strict=True)]
    for name, found in figures.verdicts.items():
        check_distribution(found.confidence, [c for verdict, c in pairs if verdict == name])
    check_distribution(figures.confidence, [c for verdict, c in pairs if verdict != "INSUFFICIENT_DATA"])


def check_distribution(found: Distribution, values: list[float]) -> None:
    assert found.hours == len(values) == sum(found.histogram)
    assert found.mean == near(mean(values))
    quartiles = (found.low_quartile, found.median, found.high_quartile)
    if len(values) > 1:
        assert quartiles == tuple(map(near, statistics.quantiles(values, n=4, method="inclusive")))
    else:
        assert quartiles == ((values or [None])[0],) * 3


def test_the_edges_of_the_bins() -> None:
    found = distribution(np.array([0.0, 0.05, 0.1, 0.5, 0.99, 1.0]))

    assert found.histogram == (2, 1, 0, 0, 0, 1, 0, 0, 0, 2)


@settings(max_examples=40)
@given(market_rows(ALFA))
def test_returns_by_verdict(rows: BacktestHours) -> None:
    figures = measure([rows])

    assert list(figures.returns) == list(RETURN_GROUPS)
    for name, found in figures.returns.items():
        verdict, _, way = name.partition(" ")
        bars = [
            after
            for said, to, after in zip(names(rows), rows.direction, rows.next_return_bps.tolist(), strict=True)
            if not math.isnan(after) and (name == "all" or said == verdict) and (not way or DIRECTIONS[to] == way)
        ]
        assert found.bars == len(bars)
        assert found.mean_bps == near(mean(bars))
        assert found.volatility_bps == near(statistics.stdev(bars) if len(bars) > 1 else None)
        assert found.share_up == near(mean([float(bar > 0) for bar in bars]))
        assert found.total_pct == near(100 * (math.exp(math.fsum(bars) / 1e4) - 1) if bars else None)


@settings(max_examples=40)
@given(BOTH)
def test_markets_together_pool_their_bars_and_hold_nothing(both: tuple[BacktestHours, BacktestHours]) -> None:
    together, each = measure(both), [measure([rows]) for rows in both]

    for name, found in together.returns.items():
        parts = [figures.returns[name] for figures in each]
        assert found.bars == sum(part.bars for part in parts)
        total = sum((part.mean_bps or 0.0) * part.bars for part in parts)
        assert found.mean_bps == near(total / found.bars if found.bars else None)
        assert found.total_pct is None


def check_labels(found: LabelFigures, rows: BacktestHours, labels: Callable[[BacktestHours], np.ndarray]) -> None:
    pairs = [(CLASSES[code], name, c) for code, name, c in zip(labels(rows), names(rows), rows.confidence, strict=True)
             if code != ABSTAIN]  # fmt: skip
    of = {"RANGE_OK": "RANGE", "RANGE_WEAK": "RANGE", "TREND": "TREND", "TRANSITION": "VOLATILE"}
    judged = [(label, of[name], c) for label, name, c in pairs if name in of]
    counts = Counter((label, name) for label, name, _ in pairs)
    assert (found.hours, found.judged) == (len(pairs), len(judged))
    assert {(a, b): n for a, row in found.counts.items() for b, n in row.items() if n} == dict(counts)
    assert found.same == near(mean([float(a == b) for a, b, _ in judged]))
    recalls = []
    for label in CLASSES:
        recall = mean([float(a == b) for a, b, _ in judged if a == label])
        recalls.append(recall)
        assert found.recall[label] == near(recall)
        assert found.precision[label] == near(mean([float(a == b) for a, b, _ in judged if b == label]))
    assert found.balanced == near(mean([recall for recall in recalls if recall is not None]))
    assert sum(found.bins) == len(judged)
    right = [(share or 0.0) * hours for share, hours in zip(found.same_in_bins, found.bins, strict=True)]
    assert sum(right) == near(sum(a == b for a, b, _ in judged))
    assert all((share is None) == (hours == 0) for share, hours in zip(found.same_in_bins, found.bins, strict=True))


@settings(max_examples=40)
@given(market_rows(ALFA))
def test_both_kinds_of_labels(rows: BacktestHours) -> None:
    figures = measure([rows])

    check_labels(figures.hindsight, rows, lambda r: r.hindsight)
    if figures.truth is None:
        assert set(rows.truth.tolist()) <= {ABSTAIN}
        assert figures.delay is None
    else:
        check_labels(figures.truth, rows, lambda r: r.truth)


def test_kappa_by_hand() -> None:
    """Landis and Koch's form: 20 + 15 of 50 the same, expected by chance 0.5."""
    labels = np.repeat([0, 0, 1, 1], [20, 5, 10, 15]).astype(np.int8)
    verdict = np.repeat([1, 3, 1, 3], [20, 5, 10, 15]).astype(np.int8)

    found = label_figures(verdict, np.full(50, 0.5), labels)

    assert found.same == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)


def test_kappa_says_nothing_where_there_is_one_class_alone() -> None:
    none = np.zeros(4, dtype=np.int8)

    assert label_figures(none + 1, np.full(4, 0.5), none).kappa is None
    assert label_figures(none, np.full(4, 0.5), none).kappa is None


@settings(max_examples=40)
@given(market_rows(ALFA, least=2).filter(lambda rows: bool((rows.verdict != 0).any())))
def test_on_unbroken_labelled_hours_the_benchmark_says_the_same(rows: BacktestHours) -> None:
    """`judgement.metrics.score` is what `regime benchmark accuracy` prints."""
    filled = [
        (at, verdict, confidence, 0, 1.0, 0.0, max(truth, 0), ABSTAIN)
        for at, (verdict, confidence, truth) in enumerate(
            zip(rows.verdict.tolist(), rows.confidence.tolist(), rows.truth.tolist(), strict=True)
        )
    ]
    whole = hours_of(ALFA, filled)
    expected = score(whole.truth, CLASS_OF_VERDICT[whole.verdict])

    figures = measure([whole])

    assert figures.truth is not None
    assert figures.delay is not None
    assert figures.truth.balanced == near(expected.balanced_accuracy)
    assert figures.truth.judged / figures.truth.hours == near(expected.coverage)
    assert figures.delay.median_hours == near(None if math.isnan(expected.delay_bars) else expected.delay_bars)
    assert figures.delay.flip_ratio == near(None if math.isnan(expected.flip_ratio) else expected.flip_ratio)
    assert figures.delay.missed / max(figures.delay.changes, 1) == near(np.nan_to_num(expected.missed_share))


def test_a_change_across_a_missing_hour_counts_nowhere() -> None:
    base = {"confidence": 0.5, "direction": 0, "close": 1.0, "after": 0.0}
    rows = hours_of(
        ALFA,
        [
            (place, verdict, *base.values(), truth, ABSTAIN)
            for place, verdict, truth in [
                (0, 1, 0),
                (1, 1, 0),
                (3, 3, 1),
                (4, 3, 1),
                (5, 4, 2),
                (6, 1, ABSTAIN),
                (7, 3, 1),
            ]
        ],
    )

    figures = measure([rows])

    assert (figures.missing, figures.changes) == (1, 3)
    assert figures.transitions["RANGE_OK"] == {**dict.fromkeys(VERDICTS, 0), "RANGE_OK": 1, "TREND": 1}
    assert figures.delay is not None
    assert (figures.delay.changes, figures.delay.missed, figures.delay.median_hours) == (1, 0, 0.0)


def test_lengths_are_hours_whatever_the_bar() -> None:
    rows = hours_of(ALFA.on("4h"), [(4 * at + 3, 1, 0.5, 0, 1.0, 0.0, ABSTAIN, ABSTAIN) for at in range(6)])

    figures = measure([rows])

    assert figures.verdicts["RANGE_OK"].dwell.longest_hours == 24.0
    assert figures.changes_per_day == 0.0
