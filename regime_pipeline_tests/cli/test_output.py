"""Results as CSV: what a spreadsheet would run is text, and numbers are numbers."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from regime_pipeline.cli.output import Format, write_frame

FORMULAS = ('=HYPERLINK("http://evil.example")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1")
SOUND = ("range broke", "-1.5", "+3", "2e-7", "", "a=b")


def test_a_csv_holds_no_formula_and_changes_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    why = [*FORMULAS, *SOUND]
    frame = pd.DataFrame({"why": why, "note": pd.Series([{"x": text} for text in why]), "loss": -1.5})

    write_frame(frame, Format.CSV, "-", ())

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert [row["why"] for row in rows] == [*(f"'{text}" for text in FORMULAS), *SOUND]
    assert {row["loss"] for row in rows} == {"-1.5"}
    assert list(frame["why"]) == why


def test_json_holds_texts_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    write_frame(pd.DataFrame({"why": list(FORMULAS)}), Format.JSON, "-", ())

    assert "'=HYPERLINK" not in capsys.readouterr().out
