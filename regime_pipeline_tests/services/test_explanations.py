"""Explanations of rows whose policy or scores are not there any more, and of rows that an older schema holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import psycopg
import pytest
from alembic import command

from regime_pipeline.domain.grids.named_conditions import worded
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.restart_gates.replay import worded_restart
from regime_pipeline.domain.schema import CLASS_PROBABILITIES
from regime_pipeline.domain.verdicts.explanation import explain
from regime_pipeline.domain.verdicts.verdict import decide_verdicts, verdict_lookback_hours
from regime_pipeline.policy import default_policy, recorded_policy
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import EXPLAINED, factors_of, policy_of, reasons_of, verdict_factors
from regime_pipeline.storage.admin.migrate import current, upgrade
from regime_pipeline_tests.factories import simulated_workspace
from regime_pipeline_tests.served_home import ETH, HOURS, hour

WHOLE = Window(hour(HOURS - 48), hour(HOURS))
RENDERED = 0b1_1111_0111
"""Bits of `rules_met` that an explanation reads."""


def test_a_policy_that_is_not_on_record_is_said(served: Workspace) -> None:
    rows = served.warehouse.read_range("regime_verdicts", ETH, WHOLE, EXPLAINED)
    rows["policy_hash"] = rows["policy_hash"].copy()
    rows["policy_hash"][::2] = "feedfacefeedface"
    found = verdict_factors(served, ETH, WHOLE, rows)

    assert found[1::2] == verdict_factors(served, ETH, WHOLE)[1::2]
    for sentence in reasons_of(found[::2]):
        assert sentence == (
            "The policy behind this row (feedfacefeedface) is not on record; run `regime backfill` to decide the hour"
            " again."
        )


def test_scores_that_are_gone_are_said(served: Workspace) -> None:
    rows = served.warehouse.read_range("regime_verdicts", ETH, WHOLE, EXPLAINED)
    scores, features = (served.warehouse.read_range(table, ETH, WHOLE) for table in ("scores", "features"))
    fewer = {name: column[5:] for name, column in scores.items()}
    found = factors_of(served, rows, fewer, features)

    assert all("no longer stored" in sentence for sentence in reasons_of(found[:5]))
    assert found[5:] == factors_of(served, rows, scores, features)[5:]


def test_a_policy_of_another_version_keeps_what_both_know() -> None:
    document = default_policy().model_dump(mode="json")
    document["verdict"]["trend_from"] = 71.5
    document["verdict"]["threshold_of_another_version"] = 3
    del document["scores"]

    assert "trend_from" in default_policy().model_dump()["verdict"]
    found = recorded_policy(document)
    assert found.verdict.trend_from == 71.5
    assert found.scores == default_policy().scores


def test_a_symbols_own_thresholds_of_another_version_are_completed_too() -> None:
    document = default_policy().model_dump(mode="json")
    before = {name: value for name, value in document["gates"]["default"].items() if name != "range_since_stop_from"}
    document["gates"]["symbols"] = {"ETH-USDT": before | {"hold_bars": 9, "threshold_of_another_version": 1}}
    document["grids"]["symbol_defaults"]["BTC-USDT"].pop("levels")

    found = recorded_policy(document)

    assert found.gates.of("ETH-USDT") == default_policy().gates.default.model_copy(update={"hold_bars": 9})
    assert found.gates.of("BTC-USDT") == default_policy().gates.default
    assert found.grids.symbol_defaults["BTC-USDT"].levels == default_policy().grids.defaults.levels


def test_conditions_and_grids_of_stored_advice_get_their_sentences_back() -> None:
    assert worded([]) == []
    assert worded_restart(None) is None


def test_rows_of_the_first_revision_are_explained_after_the_upgrade(
    served: Workspace, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first revision stored every factor with its sentence; the second has bits and the policy by its hash."""
    before = Window(hour(HOURS - 48 - verdict_lookback_hours(ETH, default_policy())), hour(HOURS))
    features = served.warehouse.read_range("features", ETH, before)
    scores = served.warehouse.read_range("scores", ETH, before)
    scores |= {name: np.full(len(features["hour_start"]), np.nan) for name in CLASS_PROBABILITIES}  # it had none
    rows = decide_verdicts(features, scores, WHOLE.hours, ETH, default_policy())
    newest = [{name: column[-48:] for name, column in table.items()} for table in (scores, features)]
    factors = [
        [each.document() for each in listed if each.rule != "WEIGHTS"]
        for listed in explain(rows, *newest, default_policy())
    ]
    assert len(set(rows["verdict"].tolist())) > 1
    to_head = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _: to_head(config, "0001"))
        upgrade(database_url)
    assert current(database_url) == "0001"
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO runs (code_version, config_hash, dirty_mark) VALUES ('1', 'c', 0)")
        connection.execute(
            "INSERT INTO series (venue, symbol, timeframe, step, price_scale) VALUES ('v', %s, %s, '1 h', 100)",
            (ETH.symbol, ETH.timeframe),
        )
        for start, listed in zip(rows["hour_start"].tolist(), factors, strict=True):
            connection.execute(
                "INSERT INTO regime_verdicts (hour_start, series_id, run_id, is_new_bar, verdict, instant_verdict,"
                " direction, dominant_risk, is_rule_override, competing, factors, policy_hash)"
                " VALUES (to_timestamp(%s / 1000.0), 1, 1, true, 'TREND', 'TREND', 'up', 'TREND', false, '[]', %s,"
                " 'f0649de13f6e041b')",
                (start, json.dumps(listed)),
            )
    with simulated_workspace(database_url, tmp_path, [ETH]) as upgraded:
        found = upgraded.warehouse.read_range("regime_verdicts", ETH, WHOLE, ("hour_start", "rules_met"))
        shipped = policy_of(upgraded, "f0649de13f6e041b")

    np.testing.assert_array_equal(found["hour_start"], rows["hour_start"])
    np.testing.assert_array_equal(found["rules_met"] & RENDERED, rows["rules_met"] & RENDERED)
    assert shipped is not None
    assert shipped.verdict == default_policy().verdict
