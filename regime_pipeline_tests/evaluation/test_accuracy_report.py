"""Tests of `services.judgement` from runner to page: every figure of the page is one of the results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from regime_pipeline.cli.app import main
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.evaluation.accuracy_report import summarize, to_json, to_markdown
from regime_pipeline.evaluation.baselines import Method
from regime_pipeline.evaluation.runner import Lengths, MarketResult, available_methods, judge
from regime_pipeline_tests.domain.verdicts.factories import POLICY

LENGTHS = Lengths(train=900, embargo=100, test=600)
ABSENT = (Method("a peer from elsewhere", lambda *_: lambda _: None, requires="nowhere"),)  # type: ignore[arg-type, return-value]


@pytest.fixture(scope="module")
def results() -> list[MarketResult]:
    return judge(POLICY, ("medium", "easy"), [1, 2], with_peers=False, jobs=0, lengths=LENGTHS)


@pytest.fixture(scope="module")
def summary(results: list[MarketResult]) -> dict[str, Any]:
    return summarize(results, available_methods(POLICY, with_peers=False)[0], ABSENT)


def test_results_are_in_order_and_only_the_first_difficulty_has_walks(results: list[MarketResult]) -> None:
    assert [(r.difficulty, r.seed, bool(r.null_verdicts)) for r in results] == [
        ("medium", 1, True), ("medium", 2, True), ("easy", 1, False), ("easy", 2, False),
    ]  # fmt: skip
    for result in results:
        assert sum(map(sum, result.scores["verdict (this project)"].confusion)) == LENGTHS.test
        assert result.detail.revised_share == 0.0
        assert 0.0 < result.detail.brier < 2.0
    assert sum(results[0].null_verdicts) == pytest.approx(1.0)


def test_means_stand_between_their_ends(results: list[MarketResult], summary: dict[str, Any]) -> None:
    figures = summary["difficulties"]["medium"]["methods"]["verdict (this project)"]
    values = [r.scores["verdict (this project)"].balanced_accuracy for r in results[:2]]

    mean, low, high = figures["balanced_accuracy"]
    assert mean == pytest.approx(sum(values) / 2)
    assert min(values) <= low <= mean <= high <= max(values)
    assert set(summary["null"]["verdicts"]) == set(VERDICTS)


def test_the_page_names_goals_baselines_walks_and_peers_that_did_not_run(summary: dict[str, Any]) -> None:
    page = to_markdown(summary, "regime benchmark accuracy --quick", LENGTHS)

    goal = summary["goals"]["balanced_accuracy"]
    assert f"| balanced accuracy | >= .77 | {goal['value']:.3f} |" in page
    assert goal["best_baseline"] in page
    assert "learns\non the first 900 hourly bars, 100 are left out" in page
    assert "## Driftless walks" in page
    assert "a peer from elsewhere: not run, its library is not installed (`pip install nowhere`)" in page
    assert "nan" not in page


def test_a_reached_goal_says_yes_and_a_missed_one_no(summary: dict[str, Any]) -> None:
    goals = {name: {**goal, "is_reached": name == "flip_ratio"} for name, goal in summary["goals"].items()}

    page = to_markdown({**summary, "goals": goals}, "x", LENGTHS)

    assert page.count("| yes |") == 1
    assert page.count("| **no** |") == 3


def test_without_walks_or_medium_markets_their_parts_are_left_out(results: list[MarketResult]) -> None:
    methods = available_methods(POLICY, with_peers=False)[0]

    page = to_markdown(summarize(results[2:], methods, ()), "x", LENGTHS)

    assert "## Easy" in page
    for part in ("Goals", "Driftless", "did not run"):
        assert part not in page


def test_a_peer_that_cannot_be_fitted_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Any:
        raise ValueError("no convergence")

    methods = (*available_methods(POLICY, with_peers=False)[0][:1], Method("a stubborn peer", fails))
    monkeypatch.setattr("regime_pipeline.evaluation.runner.available_methods", lambda *_: (methods, ()))
    found = judge(POLICY, ("medium",), [1], with_peers=False, jobs=0, lengths=LENGTHS)

    page = to_markdown(summarize(found, methods, ()), "x", LENGTHS)

    assert "* a stubborn peer, medium 1: ValueError: no convergence" in page
    assert "| a stubborn peer | - | - |" in page


def test_everything_is_json(results: list[MarketResult], summary: dict[str, Any]) -> None:
    content = orjson.loads(orjson.dumps(to_json(results, summary)))

    assert content["markets"][0]["scores"]["verdict (this project)"]["coverage"] == 1.0


def test_the_command_writes_both_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--quick", "--no-peers", "--markets", "2", "--jobs", "0", "--output", str(tmp_path / "new")]
    monkeypatch.setattr(sys, "argv", ["regime", "benchmark", "accuracy", *words])

    with pytest.raises(SystemExit) as ended:
        main()

    assert not ended.value.code
    assert "balanced_accuracy: 0." in capsys.readouterr().out
    page = (tmp_path / "new/accuracy.md").read_text("utf-8")
    assert "Written by `regime benchmark accuracy --quick --no-peers" in page
    assert len(orjson.loads((tmp_path / "new/accuracy.json").read_bytes())["markets"]) == 6


def test_speed_is_measured_in_a_clone_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["regime", "benchmark", "speed"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "are part of the repository" in capsys.readouterr().err
