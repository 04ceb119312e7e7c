"""Explanations of stored rows: the factors behind verdicts and advice, by the policy that each row was decided under.

Sentences are rendered here and stored nowhere; CLI, API, MCP, dashboard and webhooks share them. See
`domain.verdicts.explanation` and `domain.grids.advice_explanation` for the wording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.factors import DECIDED, Factor, deciding
from regime_pipeline.domain.grids.advice_hourly import explain_rows
from regime_pipeline.domain.grids.named_conditions import worded
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64, Window
from regime_pipeline.domain.restart_gates.replay import worded_restart
from regime_pipeline.domain.schema import WEIGHTS
from regime_pipeline.domain.verdicts.explanation import NEEDED, explain
from regime_pipeline.policy import Policy, recorded_policy
from regime_pipeline.services.chain.workspace import Workspace

EXPLAINED: Final = (
    *("hour_start", "verdict", "instant_verdict", "direction", "range_low", "rules_met", "policy_hash"),
    *WEIGHTS,
)
"""Columns of `regime_verdicts` that an explanation and the competing verdicts are made of."""
_NO_POLICY: Final = (
    "The policy behind this row ({policy_hash}) is not on record; run `regime backfill` to decide the hour again."
)
_NO_SCORES: Final = "The scores behind this row are no longer stored; run `regime backfill` to decide the hour again."


def policy_of(ws: Workspace, policy_hash: str) -> Policy | None:
    """Return the policy that a row's hash stands for, None where it is not on record."""
    document = ws.warehouse.policies.document(policy_hash)
    return None if document is None else recorded_policy(document)


def verdict_factors(ws: Workspace, market: Market, window: Window, verdicts: Rows | None = None) -> list[list[Factor]]:
    """Return the factors behind the stored verdicts of a window, one list an hour with a row, ascending.

    Parameters
    ----------
    verdicts : Rows, optional
        The rows with at least the columns `EXPLAINED`; read where they are not given.
    """
    if verdicts is None:
        verdicts = ws.warehouse.read_range("regime_verdicts", market, window, EXPLAINED)
    scores = ws.warehouse.read_range("scores", market, window, NEEDED["scores"])
    features = ws.warehouse.read_range("features", market, window, NEEDED["features"])
    return factors_of(ws, verdicts, scores, features)


def factors_of(ws: Workspace, verdicts: Rows, scores: Rows, features: Rows) -> list[list[Factor]]:
    """Return the factors behind verdict rows; of scores and features a row for each hour, others change nothing.

    An hour that lacks one of them, or whose policy is not on record, says so in its only factor.
    """
    found: list[list[Factor]] = [[_unknown("DATA", _NO_SCORES)] for _ in verdicts["hour_start"]]
    places = (_places(rows["hour_start"], verdicts["hour_start"]) for rows in (scores, features))
    at_scores, at_features = places
    whole = np.flatnonzero((at_scores >= 0) & (at_features >= 0))
    mine = _at(verdicts, whole)
    score_rows, feature_rows = _at(scores, at_scores[whole]), _at(features, at_features[whole])

    def explain_some(at: Int64, policy: Policy) -> list[list[Factor]]:
        return explain(_at(mine, at), _at(score_rows, at), _at(feature_rows, at), policy)

    for place, factors in zip(whole.tolist(), _by_policy(ws, mine["policy_hash"], explain_some), strict=True):
        found[place] = factors
    return found


def reasons_of(factors: Sequence[Sequence[Factor]]) -> list[str]:
    """Return the deciding sentence of each hour."""
    return [deciding(hour).sentence for hour in factors]


def advice_factors(ws: Workspace, market: Market, window: Window, advice: Rows) -> list[list[Factor]]:
    """Return the factors behind stored rows of advice, one list a row.

    Parameters
    ----------
    advice : Rows
        Rows of `grid_advice` of hours in the window.
    """
    names = ("hour_start", "verdict", "range_low", "range_high")
    verdicts = ws.warehouse.read_range("regime_verdicts", market, window, names)
    at = _places(verdicts["hour_start"], advice["hour_start"])
    found: list[list[Factor]] = [[_unknown("ACTION", _NO_SCORES)] for _ in advice["hour_start"]]
    whole = np.flatnonzero(at >= 0)
    mine, theirs, history = _at(advice, whole), _at(verdicts, at[whole]), ws.warehouse.grids.history(market.symbol)

    def explain_some(rows: Int64, policy: Policy) -> list[list[Factor]]:
        return explain_rows(_at(mine, rows), _at(theirs, rows), history, policy)

    for place, factors in zip(whole.tolist(), _by_policy(ws, mine["advice_hash"], explain_some), strict=True):
        found[place] = factors
    return found


def advice_documents(ws: Workspace, market: Market, window: Window, advice: Rows) -> list[dict[str, Any]]:
    """Return `reasons`, `gate_checks`, `restart_grid` and `graduation` of each row of advice, with their sentences."""
    documents = (advice[name] for name in ("gate_checks", "restart_grid", "graduation"))
    rows = zip(advice_factors(ws, market, window, advice), *documents, strict=True)
    return [
        {
            "reasons": [factor.document() for factor in factors],
            "gate_checks": worded(checks),
            "restart_grid": worded_restart(restart),
            "graduation": worded(graduation),
        }
        for factors, checks, restart, graduation in rows
    ]


def _by_policy(
    ws: Workspace, hashes: Any, explain_some: Callable[[Int64, Policy], list[list[Factor]]]
) -> list[list[Factor]]:
    """Explain the rows of each policy together."""
    found: list[list[Factor]] = [[] for _ in hashes]
    for policy_hash in dict.fromkeys(hashes.tolist()):
        at = np.flatnonzero(hashes == policy_hash)
        policy = policy_of(ws, policy_hash)
        unknown = [_unknown("POLICY", _NO_POLICY, policy_hash=policy_hash)]
        factors = [unknown] * len(at) if policy is None else explain_some(at, policy)
        for place, hour in zip(at.tolist(), factors, strict=True):
            found[place] = hour
    return found


def _unknown(rule: str, template: str, **inputs: Any) -> Factor:
    """The only factor of a row that cannot be explained."""
    return Factor(rule, inputs, None, None, DECIDED, template)


def _places(known: Int64, wanted: Int64) -> Int64:
    """Where each wanted time stands among the known ones, both ascending; -1 where it does not."""
    at = np.searchsorted(known, wanted)
    is_there = at < len(known)
    is_there[is_there] = known[at[is_there]] == wanted[is_there]
    return np.where(is_there, at, -1)


def _at(rows: Rows, places: Int64) -> Rows:
    return {name: column[places] for name, column in rows.items()}
