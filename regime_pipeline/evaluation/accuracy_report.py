"""The accuracy report: figures of many markets as tables, Markdown and JSON.

See `runner` for the judging.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.simulation.regimes import STRENGTHS
from regime_pipeline.evaluation.baselines import Method
from regime_pipeline.evaluation.datasets import TUNING_SEEDS
from regime_pipeline.evaluation.markdown import markdown_table
from regime_pipeline.evaluation.runner import Lengths, MarketResult, VerdictDetail
from regime_pipeline.services.backtest.classes import CLASSES
from regime_pipeline.services.backtest.metrics import Score, interval

FIGURES: Final = (
    *("balanced_accuracy", "macro_f1", "range_precision", "range_recall", "flip_ratio", "delay_bars", "missed_share"),
    "coverage",
)
GOALS: Final[dict[str, tuple[str, Callable[[float], bool]]]] = {
    "balanced_accuracy": (">= .77", lambda value: value >= 0.77),
    "flip_ratio": ("<= 2.5", lambda value: value <= 2.5),
    "range_precision": ("> .65", lambda value: value > 0.65),
    "delay_bars": ("<= 20", lambda value: value <= 20),
}
"""Goals on "medium"."""
_HIGHER_IS_BETTER: Final = {
    "balanced_accuracy": True,
    "range_precision": True,
    "flip_ratio": False,
    "delay_bars": False,
}
_BASELINES: Final = """## Baseline by baseline, on "medium"

How far the verdict is ahead (+) or behind (-). A method that flickers is soon right by chance, so read a short delay
together with the flip ratio; the majority class never changes and so never errs by changing."""
_PLAIN: Final = frozenset({"flip_ratio", "delay_bars"})


def summarize(results: Sequence[MarketResult], methods: Sequence[Method], absent: Sequence[Method]) -> dict[str, Any]:
    """Return every figure of the report as JSON values.

    Returns
    -------
    dict
        `difficulties`: by name, `methods` (figure -> mean, low, high), `confusion` and `verdict` figures; `null`:
        shares by method and verdict; `goals`; `absent_peers`.
    """
    names = [method.name for method in methods]
    difficulties = list(dict.fromkeys(result.difficulty for result in results))
    parts = {d: _difficulty([r for r in results if r.difficulty == d], names) for d in difficulties}
    return {
        "seeds": sorted({result.seed for result in results}),
        "lookahead": [method.name for method in methods if not method.is_causal],
        "difficulties": parts,
        "null": _null([r for r in results if r.null_verdicts], names),
        "goals": _goals(parts, [m.name for m in methods if m.is_causal]) if "medium" in parts else {},
        "absent_peers": {method.name: method.requires for method in absent},
        "failures": [f"{name}, {r.difficulty} {r.seed}: {said}" for r in results for name, said in r.failures.items()],
    }


def _difficulty(results: Sequence[MarketResult], names: Sequence[str]) -> dict[str, Any]:
    scores = {name: [r.scores[name] for r in results if name in r.scores] for name in names}
    return {
        "methods": {name: {f: interval([getattr(s, f) for s in scores[name]]) for f in FIGURES} for name in names},
        "confusion": {name: _total(scores[name]) for name in names},
        "verdict": {f.name: interval([getattr(r.detail, f.name) for r in results]) for f in fields(VerdictDetail)},
    }


def _total(scores: Sequence[Score]) -> list[list[int]]:
    none = np.zeros((len(CLASSES), len(CLASSES) + 1), dtype=np.int64)
    total: list[list[int]] = sum((np.array(s.confusion) for s in scores), none).tolist()
    return total


def _null(results: Sequence[MarketResult], names: Sequence[str]) -> dict[str, Any]:
    if not results:
        return {}
    by_name = {name: [r.null_shares[name] for r in results if name in r.null_shares] for name in names}
    shares = {name: np.mean(found, axis=0).tolist() for name, found in by_name.items() if found}
    verdicts = [interval([r.null_verdicts[code] for r in results]) for code in range(len(VERDICTS))]
    return {"classes": shares, "verdicts": dict(zip(VERDICTS, verdicts, strict=True))}


def _goals(parts: dict[str, Any], causal: Sequence[str]) -> dict[str, Any]:
    """The goals on "medium": our figure, whether it is reached, and the best causal baseline."""
    methods = parts["medium"]["methods"]
    own, baselines = causal[0], causal[1:]
    found = {}
    for name, (bound, is_reached) in GOALS.items():
        sign = 1.0 if _HIGHER_IS_BETTER[name] else -1.0
        figures = {baseline: np.nan_to_num(sign * methods[baseline][name][0], nan=-np.inf) for baseline in baselines}
        best = max(figures, key=lambda baseline: figures[baseline])
        value = methods[own][name][0]
        found[name] = {
            "goal": bound, "value": value, "is_reached": bool(is_reached(value)),
            "best_baseline": best, "baseline_value": methods[best][name][0],
        }  # fmt: skip
    return found


def to_markdown(summary: dict[str, Any], command: str, lengths: Lengths) -> str:
    """Return the report as the page `docs/accuracy.md`."""
    seeds = summary["seeds"]
    parts = [
        "# Accuracy",
        _introduction(command, seeds, lengths),
        _goal_section(summary["goals"]),
        _baselines_section(summary),
        *[_difficulty_section(name, part) for name, part in summary["difficulties"].items()],
        _null_section(summary["null"]),
        _absent_section(summary["absent_peers"]),
        _failure_section(summary["failures"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_INTRODUCTION: Final = """Written by `{command}`; the same figures are in `accuracy.json`.

Markets are simulated, so the truth is known: spells of RANGE (prices revert), TREND (they drift) and VOLATILE, abrupt
switches, Student-t returns with stochastic volatility. No bar is mixed, so a real market is harder, and no figure here
is a promise about one. {count} seeds ({first} to {last}); thresholds were chosen on seeds {tuning_first} to
{tuning_last}, those on probabilities on the tuning markets of [probabilities.md](probabilities.md). Every model learns
on the first {train:,} hourly bars, {embargo:,} are left out, all are judged on the next {test:,}.
RANGE_OK and RANGE_WEAK count as RANGE, TRANSITION as VOLATILE. Learned states get the names that fit the training bars
best. Means over seeds with 95 % bootstrap intervals. Delay: bars from a true change to the first right prediction. Flip
ratio: changes predicted per true change. A method marked LOOKAHEAD uses later bars; it is a ceiling, not a baseline.
Condor's check, which learns nothing, sees prices scaled to 60,000 dollars, for which its constants are made; UNCERTAIN
counts as VOLATILE."""


def _introduction(command: str, seeds: Sequence[int], lengths: Lengths) -> str:
    return _INTRODUCTION.format(
        command=command, count=len(seeds), first=seeds[0], last=seeds[-1], tuning_first=TUNING_SEEDS[0],
        tuning_last=TUNING_SEEDS[-1], **asdict(lengths),
    )  # fmt: skip


def _goal_section(goals: dict[str, Any]) -> str:
    if not goals:
        return ""
    rows = [
        [name.replace("_", " "), g["goal"], _number(name, g["value"]), "yes" if g["is_reached"] else "**no**",
         f"{_number(name, g['baseline_value'])} ({g['best_baseline']})"]
        for name, g in goals.items()
    ]  # fmt: skip
    table = markdown_table(["figure", "goal", "verdict", "reached", "best causal baseline in this figure alone"], rows)
    return f'## Goals, on "medium"\n\n{table}'


def _baselines_section(summary: dict[str, Any]) -> str:
    """How far the verdict is ahead of each causal baseline in the four goals; positive is always better."""
    if "medium" not in summary["difficulties"]:
        return ""
    methods = summary["difficulties"]["medium"]["methods"]
    own, *others = methods
    rows = []
    for baseline in (name for name in others if name not in summary["lookahead"]):
        ahead = {
            name: (methods[own][name][0] - methods[baseline][name][0]) * (1.0 if is_higher else -1.0)
            for name, is_higher in _HIGHER_IS_BETTER.items()
        }
        cells = ["-" if value != value else f"{value:+.3f}" for value in ahead.values()]
        rows.append([baseline, *cells, f"{sum(value > 0 for value in ahead.values())} of {len(ahead)}"])
    table = markdown_table(["baseline", *[name.replace("_", " ") for name in _HIGHER_IS_BETTER], "ahead in"], rows)
    return f"{_BASELINES}\n\n{table}"


def _difficulty_section(name: str, part: dict[str, Any]) -> str:
    strength = STRENGTHS[name]
    head = (
        f"## {name.capitalize()}\n\nHalf-life {strength.half_life_bars:g} bars in a range, drift "
        f"{strength.trend_drift_sigmas:g} sigma a bar in a trend, volatility x{strength.volatile_multiplier:g}, "
        f"spells of {strength.spell_bars:g} bars."
    )
    rows = [[method, *[_with_interval(f, figures[f]) for f in FIGURES]] for method, figures in part["methods"].items()]
    table = markdown_table(["method", *[f.replace("_", " ") for f in FIGURES]], rows)
    own = next(iter(part["confusion"]))
    confusion = markdown_table(
        [f"{own}: true", *CLASSES, "abstained"],
        [[label, *[f"{count:,}" for count in row]] for label, row in zip(CLASSES, part["confusion"][own], strict=True)],
    )
    detail = "; ".join(f"{f.replace('_', ' ')} {_with_interval(f, values)}" for f, values in part["verdict"].items())
    return f"{head}\n\n{table}\n\n{confusion}\n\nThe verdict's own figures: {detail}."


def _null_section(null: dict[str, Any]) -> str:
    if not null:
        return ""
    verdicts = markdown_table(
        ["verdict", "share of driftless hours"],
        [[name, _with_interval("share", values)] for name, values in null["verdicts"].items()],
    )
    rows = [[name, *[f"{share:.2f}" for share in shares]] for name, shares in null["classes"].items()]
    classes = markdown_table(["method", *CLASSES, "abstained"], rows)
    text = (
        "## Driftless walks\n\nA market without any regime: heavy tails and volatility waves, no drift, no reversion. "
        "A range found here is noise. Models were fitted on the labelled market of the same seed."
    )
    return f"{text}\n\n{verdicts}\n\n{classes}"


def _absent_section(absent: dict[str, str]) -> str:
    if not absent:
        return ""
    lines = [
        f"* {name}: not run, its library is not installed (`pip install {requires}`)."
        for name, requires in absent.items()
    ]
    return "\n".join(["## Models that did not run", "", *lines])


def _failure_section(failures: Sequence[str]) -> str:
    if not failures:
        return ""
    lines = [f"* {failure}" for failure in failures]
    head = "Their libraries failed on these markets, which are left out of their figures."
    return "\n".join(["## Models that could not be fitted", "", head, "", *lines])


def _number(name: str, value: float) -> str:
    if value != value:
        return "-"
    return f"{value:.1f}" if name in _PLAIN else f"{value:.3f}"


def _with_interval(name: str, values: Sequence[float]) -> str:
    mean, low, high = values
    if mean != mean:
        return "-"
    shape = "{:.1f} [{:.1f}, {:.1f}]" if name in _PLAIN else "{:.3f} [{:.3f}, {:.3f}]"
    return shape.format(mean, low, high)


def to_json(results: Sequence[MarketResult], summary: dict[str, Any]) -> dict[str, Any]:
    """Return summary and every market's figures as JSON values."""
    return {"summary": summary, "markets": [asdict(result) for result in results]}
