"""Tests of `services.records`: frames as JSON values that no reader stumbles over."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from regime_pipeline.services.queries.json_records import plain, records


def test_every_kind_of_column_becomes_json() -> None:
    times = pd.to_datetime(["2026-09-01T00:00:00Z", None], utc=True)
    frame = pd.DataFrame(
        {
            "time": times,
            "label": pd.Categorical(["a", "b"]),
            "number": [1.5, np.nan],
            "small": np.array([0.1, 0.2], dtype=np.float32),
            "count": np.array([1, 2], dtype=np.int32),
            "flag": [True, False],
            "nested": [[{"a": 1}], []],
            "infinite": [np.inf, 0.0],
        }
    )

    rows = records(frame)

    assert rows[0]["time"] == "2026-09-01T00:00:00Z"
    assert rows[1] == {
        "time": None, "label": "b", "number": None, "small": float(np.float32(0.2)), "count": 2, "flag": False,
        "nested": [], "infinite": 0.0,
    }  # fmt: skip
    assert rows[0]["infinite"] is None
    assert json.loads(json.dumps(rows)) == rows
    assert records(frame[:0]) == []


def test_single_values() -> None:
    assert plain(pd.Timestamp("2026-09-01T01:00:00+01:00")) == "2026-09-01T00:00:00Z"
    assert plain(pd.NaT) is None
    assert plain(np.int64(3)) == 3
    assert plain(np.nan) is None
    assert plain("x") == "x"
