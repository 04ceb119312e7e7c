"""Tests of the evidence on gates: labelled stops, rules that cannot look ahead, arms whose gains add up, the page."""

from __future__ import annotations

import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import pytest

from regime_pipeline.cli.app import main
from regime_pipeline.domain.grids.grid_run import simulate_grid
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.evaluation.datasets import LabelledMarket, labelled_market
from regime_pipeline.evaluation.grid_strategies import ARMS, _always, _filtered, _gated, grid_around, run_arm
from regime_pipeline.evaluation.restart_report import (
    HELD_INSTEAD,
    OTHERS,
    MarketEvidence,
    judge_candles,
    judge_other,
    judge_seed,
    summarize,
    to_markdown,
)
from regime_pipeline.evaluation.restart_rules import RULES, STOP_AFTER_BARS, labelled_stops, restarts
from regime_pipeline.services.backtest.classes import RANGE, TREND
from regime_pipeline_tests.domain.verdicts.factories import NULLS, POLICY

FIRST = 900


@cache
def market() -> LabelledMarket:
    return labelled_market("easy", 1, POLICY, NULLS, 2_600)


def test_a_stop_stands_eight_bars_after_the_end_of_a_range_that_does_not_return_meanwhile() -> None:
    truth = np.full(100, RANGE, dtype=np.int8)
    truth[20:40] = truth[50:55] = truth[95:] = TREND

    assert labelled_stops(truth, 0) == [20 + STOP_AFTER_BARS]
    assert labelled_stops(truth, 21) == []


@pytest.mark.parametrize("name", RULES)
def test_a_restart_waits_for_the_floor_and_its_figures_fit(name: str) -> None:
    found = restarts(market(), FIRST, RULES[name], POLICY)

    assert found
    floor = POLICY.gates.default.floor_bars
    for one in found:
        assert one.wait_bars >= floor
        assert one.is_restarted or not one.is_false
        assert (one.next_in_range == one.next_in_range) == one.is_restarted
        assert one.first_loss_pct != one.first_loss_pct or abs(one.first_loss_pct) < 50
    if "HINDSIGHT" in name:
        assert not any(one.is_false for one in found)


@pytest.mark.parametrize("name", [name for name in RULES if "HINDSIGHT" not in name])
def test_no_rule_looks_at_labels_or_at_later_bars(name: str) -> None:
    """The first restarts are the same when every label is another and the market ends right after them."""
    whole = market()
    stop = labelled_stops(whole.truth[:-100], FIRST)[0]
    config = grid_around(whole.candles, stop, POLICY)
    first = next((r for r, ok in enumerate(RULES[name](whole, stop, config, POLICY), stop + 1) if ok), None)
    assert first is not None
    known = first + 1
    rows = whole.analysis
    parts = {part: getattr(rows, part) for part in ("features", "scores", "verdicts")}
    cut = rows._replace(**{name: {c: v[:known] for c, v in table.items()} for name, table in parts.items()})
    part = LabelledMarket(whole.candles[:known], cut, np.full(known, TREND, dtype=np.int8))

    again = next((r for r, ok in enumerate(RULES[name](part, stop, config, POLICY), stop + 1) if ok), None)

    assert again == first


def test_arms_stand_where_their_rule_says_and_never_overlap() -> None:
    whole, last = market(), len(market().candles) - 1
    always, filtered, gated = (spans(whole, FIRST, POLICY) for spans in (_always, _filtered, _gated))

    assert always == [(900, 1400), (1400, 1900), (1900, 2400), (2400, last)]
    verdicts = whole.analysis.verdicts["verdict"]
    assert all((verdicts[start:end] == 1).all() for start, end in filtered)
    assert sum(end - start for start, end in filtered) == int((verdicts[FIRST:last] == 1).sum())
    for spans in (always, filtered, gated):
        assert all(a < b for a, b in spans)
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    assert len(gated) > 1


def test_the_gain_of_an_arm_is_that_of_its_runs() -> None:
    whole = market()
    start, end = 1_000, 1_200
    config = grid_around(whole.candles, start, POLICY)
    run = simulate_grid(config, whole.candles[start + 1 : end + 1])
    only = LabelledMarket(whole.candles[: end + 1], whole.analysis, whole.truth[: end + 1])

    found = run_arm("always on", only, start, POLICY)

    held = float(run.inventory[-1]) / float(run.lots_per_unit)
    fee = held * float(whole.candles.prices("close")[end]) * float(config.taker_fee_bps) / 1e4
    capital = float(config.allocation_quote)
    assert found.runs == 1
    assert found.active_share == 1.0
    assert found.kept_pct == pytest.approx(100 * (float(run.equity_quote[-1]) / capital - 1))
    assert found.closed_pct == pytest.approx(100 * ((float(run.equity_quote[-1]) - fee) / capital - 1))
    assert found.worst_run_pct == found.closed_pct


def test_real_candles_are_judged_piece_by_piece() -> None:
    candles = market().candles
    holed = candles[np.arange(len(candles)) != 1_300]

    found = judge_candles(POLICY, holed)

    assert set(found.arms) == set(ARMS)
    assert found.restarts == {}
    assert found.name == "JUDGED-USDT_1h"
    assert found.arms["always on"].runs == 2
    short = judge_candles(POLICY, candles.between(0, int(candles.open_time_ms[0]) + 100 * HOUR_MS))
    assert short.arms["always on"].runs == 0


def figures_of(evidence: list[MarketEvidence]) -> dict[str, str]:
    """Text, for NaN is not NaN."""
    return {name: repr(figures) for name, figures in summarize(evidence).items()}


def test_the_page_holds_every_rule_and_arm() -> None:
    evidence = [judge_seed(POLICY, 1_700, seed) for seed in (1, 2)]

    others = {kind: [judge_other(POLICY, 1_700, kind, theirs[0])] for kind, (_, theirs) in OTHERS.items()}

    real = [judge_candles(POLICY, market().candles)]
    page = to_markdown("regime benchmark gates", [1, 2], 1_700, evidence, others, real)

    for name in (*RULES, *ARMS, "from 0.6", HELD_INSTEAD, "JUDGED-USDT_1h"):
        assert f"| {name} |" in page
    assert "Members of the family, seeds 301 to 301:" in page
    assert page.count("| the restart gates |") == 1 + len(OTHERS)
    assert figures_of(evidence)["from 0.6"] == figures_of(evidence)["the restart gates"]
    figures = summarize(evidence)["the restart gates"]
    assert figures["stops"] == sum(len(market.restarts["the restart gates"]) for market in evidence)


def test_the_command_writes_both_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--markets", "1", "--bars", "1500", "--jobs", "0", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["regime", "benchmark", "gates", *words])

    with pytest.raises(SystemExit) as ended:
        main()

    assert not ended.value.code
    assert "median wait" in capsys.readouterr().out
    assert "Written by `regime benchmark gates --markets 1" in (tmp_path / "restart-gates.md").read_text("utf-8")
    assert len(orjson.loads((tmp_path / "restart-gates.json").read_bytes())["simulated"]) == 1
