"""Calibration of the null table: reproducible from its seeds, with few ranges and bounded alarms on driftless walks."""

from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.simulation.regimes import simulate_null
from regime_pipeline.evaluation.calibrate import FIRST_SEED, SERIES, main, make_null_table
from regime_pipeline.policy import default_policy
from regime_pipeline.services.null_table import load_null_table
from regime_pipeline_tests.domain.verdicts.factories import HOURLY, NULLS, hours_of, run

FRESH_SEEDS = range(20, 44)
SCORED_FROM = 700


def test_the_command_writes_the_same_table_for_the_same_seeds(tmp_path: Path) -> None:
    arguments = ["--seed", "5", "--series", "2", "--bars", "760", "--output"]
    main([*arguments, str(tmp_path / "one.json")])
    main([*arguments, str(tmp_path / "two.json")])

    made = load_null_table(tmp_path / "one.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert made.hash == make_null_table(default_policy(), 5, 2, 760).hash
    assert made.made_for == NULLS.made_for


MOST = {"RANGE_OK": 0.10, "TREND": 0.26, "TRANSITION": 0.35}
"""Largest shares of driftless hours; the model must name one of three regimes, and holds it (decision 18)."""


def test_on_fresh_driftless_walks_ranges_are_rare_and_alarms_bounded() -> None:
    assert not set(FRESH_SEEDS) & set(range(FIRST_SEED, FIRST_SEED + SERIES))
    verdicts, scores = [], []
    for seed in FRESH_SEEDS:
        candles = simulate_null(HOURLY, 3_000, seed)
        engine = run(candles, hours_of(candles))
        verdicts.append(engine.verdicts["verdict"][SCORED_FROM:])
        scores.append({k: v[SCORED_FROM:] for k, v in engine.scores.items() if k in NULLS.knots})

    shares = np.bincount(np.concatenate(verdicts), minlength=len(VERDICTS)) / (len(FRESH_SEEDS) * 2_300)

    for name, most in MOST.items():
        assert most / 3 < shares[VERDICTS.index(name)] <= most, name
    for name in NULLS.knots:
        pooled = np.concatenate([score[name] for score in scores])
        assert np.mean(pooled > 70) == pytest.approx(0.10, abs=0.015), name
        assert np.mean(pooled < 30) == pytest.approx(0.10, abs=0.015), name
        assert np.median(pooled) == pytest.approx(50, abs=2), name
