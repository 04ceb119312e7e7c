"""docs/deploy.md is what its script makes of the measured figures; `python -m benchmarks.scaling` writes it."""

from __future__ import annotations

from pathlib import Path

from benchmarks import scaling

REPOSITORY = Path(__file__).resolve().parent.parent


def test_the_page_is_computed_from_the_measured_figures() -> None:
    page = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
    assert scaling.render() in page


def test_sizes_are_in_proportion_to_rows() -> None:
    figures = scaling.Figures(
        minutes={"database": 200.0, "lake": 50.0},
        hours={"database": 6_000.0, "lake": 3_000.0},
        periods=7.0,
        ledger=200.0,
        snapshot=4_000.0,
        load=100_000.0,
        chain=500.0,
        scan={"postgres": 3e6, "duckdb": 12e6},
        hour_ms={"postgres": 0.2, "duckdb": 8.0},
        wide={"files": 120_000, "named_ms": 4.0, "listed_ms": 900.0},
    )
    row = scaling.universe_row(figures, 2_000, 5)
    assert row[:3] == ["2,000 x 5", "5,260 M", "1.1 TB"]
    assert row[7] == "29.2 h"  # 2 x 5.26e9 rows at 100k a second
    assert row[9:] == ["29.2 min", "7.3 min", "33.3"]
    text = scaling.takeover(figures)
    assert "up to 90 M rows (171 symbol-years of 1m) in PostgreSQL" in text
    assert "**4.0x** further" in text
    assert "120,000 files one market's month takes 4 ms where its folder is named and 0.9 s" in text
