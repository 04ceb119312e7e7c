"""The evidence on restart gates and grids: judged markets as tables, Markdown and JSON.

See `restart_rules` for the rules, `grid_strategies` for whole grids.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.evaluation.datasets import LabelledMarket, labelled_foreign, labelled_market, labelled_member
from regime_pipeline.evaluation.grid_strategies import ARMS, ArmResult, run_arm
from regime_pipeline.evaluation.markdown import markdown_table
from regime_pipeline.evaluation.restart_rules import RULES, STOP_AFTER_BARS, Restart, restarts
from regime_pipeline.policy import Policy
from regime_pipeline.services.backtest.classes import ABSTAIN
from regime_pipeline.services.backtest.metrics import interval
from regime_pipeline.services.null_table import default_null_table

WARM_UP_BARS: Final = 900
WEIGHTS: Final = (0.4, 0.5, 0.6, 0.7, 0.8)
"""`range_since_stop_from` of the trade-off curve."""
HELD_INSTEAD: Final = "gate 3 held 6 bars instead"
"""The rule before the probabilities were counted from the stop."""
OTHERS: Final[dict[str, tuple[Callable[..., LabelledMarket], range]]] = {
    "members of the family": (labelled_member, range(301, 313)),
    "foreign generator": (labelled_foreign, range(501, 509)),
}
"""Simulated stops of other kinds, on seeds that neither the posterior nor the gates were fitted or tuned on."""
_APART: Final = ("true range, known at once (HINDSIGHT)", "verdict RANGE_OK", "the restart gates")
_FIGURES: Final = ("false restarts", "next 24 bars in range", "loss in them, %")


@dataclass(frozen=True)
class MarketEvidence:
    """What rules and arms did on one market.

    Parameters
    ----------
    name : str
        Seed or market.
    restarts : dict of str to list of Restart
        By rule; empty without labels.
    arms : dict of str to ArmResult
        By arm.
    """

    name: str
    restarts: dict[str, list[Restart]]
    arms: dict[str, ArmResult]


def judge_seed(policy: Policy, bars: int, seed: int) -> MarketEvidence:
    """Judge every rule and arm on one simulated "medium" market."""
    market = labelled_market("medium", seed, policy, default_null_table(), bars)
    found = {name: restarts(market, WARM_UP_BARS, rule, policy) for name, rule in RULES.items()}
    for weight in WEIGHTS:
        found[_from(weight)] = _by_gates(market, policy, range_since_stop_from=weight)
    found[HELD_INSTEAD] = _held_instead(market, policy)
    return MarketEvidence(str(seed), found, {arm: run_arm(arm, market, WARM_UP_BARS, policy) for arm in ARMS})


def judge_other(policy: Policy, bars: int, kind: str, seed: int) -> MarketEvidence:
    """Judge the rules that matter on one market of another kind, a key of `OTHERS`."""
    generate, _ = OTHERS[kind]
    market = generate(seed, policy, default_null_table(), bars)
    found = {name: restarts(market, WARM_UP_BARS, RULES[name], policy) for name in _APART}
    return MarketEvidence(str(seed), found | {HELD_INSTEAD: _held_instead(market, policy)}, {})


def _from(weight: float) -> str:
    return f"from {weight:g}"


def _held_instead(market: LabelledMarket, policy: Policy) -> list[Restart]:
    held = policy.gates.default.hold_bars
    return _by_gates(market, policy, range_since_stop_from=0.0, weighed_hold_bars=held)


def _by_gates(market: LabelledMarket, policy: Policy, **update: float) -> list[Restart]:
    """What the gates do with other thresholds."""
    default = policy.gates.default.model_copy(update=update)
    changed = policy.model_copy(update={"gates": policy.gates.model_copy(update={"default": default})})
    return restarts(market, WARM_UP_BARS, RULES["the restart gates"], changed)


def judge_candles(policy: Policy, candles: Candles) -> MarketEvidence:
    """Run every arm over real candles, piece by piece where they have holes; they have no labels."""
    nulls = default_null_table()
    cuts = np.flatnonzero(np.diff(candles.open_time_ms) != candles.market.step_ms) + 1
    edges = [0, *cuts.tolist(), len(candles)]
    whole = [candles[a:b] for a, b in itertools.pairwise(edges) if b - a > WARM_UP_BARS + 100]
    markets = [
        LabelledMarket(
            part, analyze(part, part.open_time_ms, policy, nulls), np.full(len(part), ABSTAIN, dtype=np.int8)
        )
        for part in whole
    ]
    arms = {arm: _joined([run_arm(arm, t, WARM_UP_BARS, policy) for t in markets], markets) for arm in ARMS}
    return MarketEvidence(str(candles.market), {}, arms)


def _joined(parts: Sequence[ArmResult], markets: Sequence[LabelledMarket]) -> ArmResult:
    """Pieces of one market as one: gains add up, shares are weighted by bars."""
    bars = np.array([len(t.candles) for t in markets], dtype=np.float64)
    return ArmResult(
        active_share=float(np.sum([p.active_share * b for p, b in zip(parts, bars, strict=True)]) / max(bars.sum(), 1)),
        runs=sum(p.runs for p in parts),
        closed_pct=float(np.sum([p.closed_pct for p in parts])),
        kept_pct=float(np.sum([p.kept_pct for p in parts])),
        worst_run_pct=min((p.worst_run_pct for p in parts), default=0.0),
    )


def judge_seeds(
    policy: Policy, seeds: Iterable[int], bars: int, jobs: int, tell: Callable[[], None], kind: str = ""
) -> list[MarketEvidence]:
    """Judge simulated markets in order, in worker processes unless `jobs` is 0; `tell` is called after each.

    `kind` is a key of `OTHERS`, or empty for the "medium" markets that every rule and arm is judged on.
    """
    work = partial(judge_other, policy, bars, kind) if kind else partial(judge_seed, policy, bars)
    if not jobs:
        return [work(seed) for seed in seeds]
    found = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for evidence in pool.map(work, seeds):
            found.append(evidence)
            tell()
    return found


def summarize(simulated: Sequence[MarketEvidence]) -> dict[str, dict[str, Any]]:
    """Return the figures of every rule: count, restarted share, median wait, and means with intervals over markets."""
    names = list(simulated[0].restarts)
    return {name: _rule([market.restarts[name] for market in simulated]) for name in names}


def _rule(markets: Sequence[Sequence[Restart]]) -> dict[str, Any]:
    every = [one for market in markets for one in market]
    done = [one for one in every if one.is_restarted]
    by_market = [[one for one in market if one.is_restarted] for market in markets]
    known = [[one.first_loss_pct for one in market if one.first_loss_pct == one.first_loss_pct] for market in by_market]
    return {
        "stops": len(every),
        "restarted_share": len(done) / max(len(every), 1),
        "median_wait_bars": float(np.median([one.wait_bars for one in every])) if every else float("nan"),
        "false restarts": interval([_mean([one.is_false for one in market]) for market in by_market]),
        "next 24 bars in range": interval([_mean([one.next_in_range for one in market]) for market in by_market]),
        "loss in them, %": interval([_mean(losses) for losses in known]),
        "fresh grids": sum(map(len, known)),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


_HEAD: Final = """# Gates and grids: the evidence

Written by `{command}`; the same figures are in `restart-gates.json`. Simulated markets of difficulty "medium",
seeds {first} to {last}, {bars:,} hourly bars each; a stop is {after} bars after each end of a range; spells last 150
bars on average. Means over markets with 95 % bootstrap intervals; a wait runs to the end of the data where nothing
restarts.

Read it with what others found: a plain grid has no expected gain on a driftless walk, and pausing by selling the
inventory at the market is what lost money in every published comparison (docs/grids.md). A stop here never says what
to do with the inventory, so both are shown: sold at the end of each run, and kept.

## After a labelled stop

A restart is false when the market is not in a range at that bar. The goal is fewer than 47 % at a median wait of at
most 175 bars: what raw thresholds reached on other simulated stops. Here the next true range itself begins later than
that, as the first line shows, so no honest rule can wait so short; decision 10 says what was tried."""

_CURVE_HEAD: Final = """### The trade-off

Gate 3 asks, beside its other conditions, for the probability of a range counted from the stop (decision 26). The
threshold and the filter were chosen on members 201 to 212 of the family and "medium" seeds 8200 to 8205."""

_OTHERS_HEAD: Final = """### Other simulated stops

Half-lives, drifts, spells, tails and waves of volatility drawn for each market, and a generator of another design
([probabilities.md](probabilities.md) describes both)."""

_ARMS_HEAD: Final = """## Whole grids

The policy's default grid around the price, with its fees. "Always on" is re-centred every 500 bars; "stopped and gated"
ends at a quick stop and waits for the gates; "verdict-filtered" stands while the verdict is RANGE_OK. Gains in percent
of one grid's capital, summed over all runs of a market: a filter that stands on few bars risks and can earn less."""


def to_markdown(
    command: str,
    seeds: Sequence[int],
    bars: int,
    simulated: Sequence[MarketEvidence],
    others: Mapping[str, Sequence[MarketEvidence]],
    real: Sequence[MarketEvidence],
) -> str:
    """Return the page `docs/restart-gates.md`; `others` by key of `OTHERS`."""
    head = _HEAD.format(command=command, first=seeds[0], last=seeds[-1], bars=bars, after=STOP_AFTER_BARS)
    figures = summarize(simulated)
    rules = _rules_table({name: figures[name] for name in RULES}, "rule")
    shown = [*map(_from, WEIGHTS), HELD_INSTEAD]
    curve = _rules_table({name: figures[name] for name in shown}, "probability of a range since the stop")
    arms = _arms_table(simulated, real)
    sections = [head, rules, _CURVE_HEAD, curve, _OTHERS_HEAD]
    for kind, found in others.items():
        seeds_of = OTHERS[kind][1]
        title = f"{kind[0].upper()}{kind[1:]}, seeds {seeds_of[0]} to {seeds_of[len(found) - 1]}:"
        sections += [title, _rules_table(summarize(found), "rule")]
    return "\n\n".join([*sections, _ARMS_HEAD, arms]) + "\n"


def _rules_table(figures: dict[str, dict[str, Any]], first: str) -> str:
    header = [first, "stops", "restarted", "median wait, bars", *_FIGURES, "fresh grids"]
    rows = [
        [name, str(f["stops"]), f"{f['restarted_share']:.0%}", f"{f['median_wait_bars']:.0f}",
         *(_with_interval(f[figure]) for figure in _FIGURES), str(f["fresh grids"])]
        for name, f in figures.items()
    ]  # fmt: skip
    return markdown_table(header, rows)


def _arms_table(simulated: Sequence[MarketEvidence], real: Sequence[MarketEvidence]) -> str:
    header = ["market", "strategy", "bars with a grid", "runs", "gain, sold %", "gain, kept %", "worst run %"]
    rows = [
        [f"simulated, mean of {len(simulated)}", arm, *_arm_means([market.arms[arm] for market in simulated])]
        for arm in ARMS
    ]
    rows += [
        [market.name, arm, f"{a.active_share:.0%}", str(a.runs), f"{a.closed_pct:.1f}", f"{a.kept_pct:.1f}",
         f"{a.worst_run_pct:.1f}"]
        for market in real for arm, a in market.arms.items()
    ]  # fmt: skip
    return markdown_table(header, rows)


def _arm_means(arms: Sequence[ArmResult]) -> list[str]:
    gains = [_with_interval(interval([getattr(a, name) for a in arms]), 1) for name in ("closed_pct", "kept_pct")]
    share, runs = _mean([a.active_share for a in arms]), _mean([a.runs for a in arms])
    return [f"{share:.0%}", f"{runs:.1f}", *gains, f"{min(a.worst_run_pct for a in arms):.1f}"]


def _with_interval(values: Sequence[float], digits: int = 2) -> str:
    mean, low, high = values
    return "-" if mean != mean else f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def to_json(
    simulated: Sequence[MarketEvidence],
    others: Mapping[str, Sequence[MarketEvidence]],
    real: Sequence[MarketEvidence],
) -> dict[str, Any]:
    """Return summary and every market's figures as JSON values."""
    return {
        "summary": summarize(simulated),
        "others": {kind: summarize(found) for kind, found in others.items()},
        "simulated": [asdict(m) for m in simulated],
        "real": [asdict(m) for m in real],
    }
