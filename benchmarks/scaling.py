"""What a universe costs, computed from what the other benchmarks measured: bytes, hours of loading, seconds of a scan.

Run `python -m benchmarks.scaling`; it measures nothing and writes the tables of `docs/deploy.md`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import hourly, lake
from benchmarks.document import PAGE as BENCHMARKS
from benchmarks.document import markdown_table, write_section

PAGE: Final = BENCHMARKS.with_name("deploy.md")
MINUTES_OF_YEAR: Final = 365.25 * 24 * 60
HOURS_OF_YEAR: Final = 365.25 * 24
LEDGERED: Final = 8
"""Assets with an entry in the ledger for every hour."""
PATIENCE_S: Final = 30
"""What an analyst waits for a scan of everything."""
UNIVERSES: Final = ((9, 1), (50, 1), (200, 2), (2_000, 5))
"""Symbols on 1m, and years."""


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Parameters
    ----------
    minutes, hours : dict
        Bytes a row of the tables of bars and of the hourly ones, by place (`database`, `lake`), the tables added up.
    periods, ledger : float
        Bytes a candle of periods, and bytes a market-hour of the ledger.
    snapshot : float
        Bytes of the snapshot file of an hour of minutes.
    load : float
        Rows a second that the warehouse writes, one process.
    chain : float
        Market-hours a second of the whole chain, one process.
    scan : dict
        Rows a second of a scan of one table with a group by, by engine (`postgres`, `duckdb`).
    hour_ms : dict
        Milliseconds of one market's hour, by engine.
    wide : dict
        What `benchmarks.lake` measured on a lake of as many files as the target has.
    """

    minutes: dict[str, float]
    hours: dict[str, float]
    periods: float
    ledger: float
    snapshot: float
    load: float
    chain: float
    scan: dict[str, float]
    hour_ms: dict[str, float]
    wide: dict[str, float]


def read_figures() -> Figures:
    """Read the figures of the benchmarks as they stand."""
    of_bars = json.loads(lake.FIGURES.read_text("utf-8"))
    of_hours = json.loads(hourly.FIGURES.read_text("utf-8"))
    page = BENCHMARKS.read_text("utf-8")
    rows, asked, wide = of_bars["tables"]["candle_regime"]["rows"], of_bars["questions"], of_bars["wide"]
    return Figures(
        minutes={place: _sum(of_bars, place) for place in ("database", "lake")},
        hours={place: _sum(of_hours, place) for place in ("database", "lake")},
        periods=_cell(page, "periods, KB per 1,000 candles"),
        ledger=LEDGERED * _cell(page, "ledger, KB per 1,000 hours of an asset"),
        snapshot=_cell(page, "bytes per file", 2),
        load=of_bars["load_rows_per_s"],
        chain=of_hours["market_hours_per_s"],
        scan={"postgres": rows / asked["regimes"]["postgres"] * 1e3, "duckdb": wide["rows"] / wide["scan_s"]},
        hour_ms=asked["one hour"],
        wide=wide,
    )


def _sum(figures: Any, place: str) -> float:
    return float(sum(table[place] for table in figures["tables"].values()))


def _cell(page: str, row: str, column: int = 1) -> float:
    """Return the number in a cell of the page's table row that begins with these words."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {row} |"))
    found = re.search(r"[\d,]+(?:\.\d+)?", line.split("|")[column + 1])
    if found is None:
        raise SystemExit(f"docs/benchmarks.md has no number in '{line}'")
    return float(found[0].replace(",", ""))


def universe_row(figures: Figures, symbols: int, years: float) -> list[str]:
    """Say what a universe of 1m markets costs."""
    candles, hours = symbols * years * MINUTES_OF_YEAR, symbols * years * HOURS_OF_YEAR
    bars = {place: candles * size for place, size in figures.minutes.items()}
    hourly_rows = {place: hours * size for place, size in figures.hours.items()}
    upkeep = candles * figures.periods + hours * figures.ledger
    return [
        f"{symbols:,} x {years:g}",
        f"{candles / 1e6:,.0f} M",
        _bytes(bars["database"]),
        _bytes(hourly_rows["database"]),
        _bytes(upkeep),
        _bytes(hours * figures.snapshot),
        _bytes(bars["lake"] + hourly_rows["lake"]),
        _time(2 * candles / figures.load),
        _time(hours / figures.chain),
        _time(candles / figures.scan["postgres"]),
        _time(candles / figures.scan["duckdb"]),
        f"{symbols / 60:,.1f}",
    ]


def takeover(figures: Figures) -> str:
    """Say from where on the lake answers what the database does not within an analyst's patience."""
    limits = {name: speed * PATIENCE_S for name, speed in figures.scan.items()}
    rows = {name: f"{limit / 1e6:,.0f} M rows" for name, limit in limits.items()}
    years = {name: f"{limit / MINUTES_OF_YEAR:,.0f} symbol-years" for name, limit in limits.items()}
    times, hour, wide = limits["duckdb"] / limits["postgres"], figures.hour_ms, figures.wide
    return (
        f"**Where Parquet and DuckDB take over.** A scan of one table of bars ends within {PATIENCE_S} s up to "
        f"{rows['postgres']} ({years['postgres']} of 1m) in PostgreSQL and up to {rows['duckdb']} ({years['duckdb']}) "
        f"in DuckDB over the lake, **{times:.1f}x** further: from {years['postgres']} on, "
        f"scans belong to the lake. Few rows belong to the database at any size: one market's hour takes "
        f"{hour['postgres']:.1f} ms there and {hour['duckdb']:.0f} ms in the lake. Among {wide['files']:,} files one "
        f"market's month takes {wide['named_ms']:.0f} ms where its folder is named and "
        f"{wide['listed_ms'] / 1e3:.1f} s where all folders are listed."
    )


def _bytes(size: float) -> str:
    unit, factor = next((u, f) for u, f in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)) if size >= f or u == "MB")
    return f"{size / factor:,.1f} {unit}"


def _time(seconds: float) -> str:
    spans = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    unit, factor = next((u, f) for u, f in spans if seconds >= 2 * f or u == "s")
    return f"{seconds / factor:,.1f} {unit}"


def render() -> str:
    """Return the section: what was measured, the table, and where the lake takes over."""
    figures = read_figures()
    scanned = f"PostgreSQL {figures.scan['postgres'] / 1e6:.1f} M, DuckDB {figures.scan['duckdb'] / 1e6:.1f} M"
    measured = markdown_table(
        ["measured", "figure", "by"],
        [
            ["candles and regimes, database", f"{figures.minutes['database']:.0f} B a candle", "`benchmarks.lake`"],
            ["candles and regimes, lake", f"{figures.minutes['lake']:.0f} B a candle", "`benchmarks.lake`"],
            ["hourly tables together, database", f"{figures.hours['database']:,.0f} B an hour", "`benchmarks.hourly`"],
            ["hourly tables together, lake", f"{figures.hours['lake']:,.0f} B an hour", "`benchmarks.hourly`"],
            ["periods", f"{figures.periods:.1f} B a candle", "`benchmarks.storage`"],
            ["ledger, eight assets", f"{figures.ledger:.0f} B an hour", "`benchmarks.storage`"],
            ["snapshot file of an hour of minutes", f"{figures.snapshot:,.0f} B", "`benchmarks.snapshots`"],
            ["loading, one process", f"{figures.load / 1e3:,.0f}k rows/s", "`benchmarks.lake`"],
            ["the whole chain, one process", f"{figures.chain:,.0f} market-hours/s", "`benchmarks.hourly`"],
            ["scan with a group by, rows a second", scanned, "`benchmarks.lake`"],
        ],
    )
    header = ["1m symbols x years", "candles", "bars, database", "hourly tables", "periods, ledger", "snapshots"]
    header += [
        "lake, all tables",
        "load of bars",
        "chain, one process",
        "scan, PostgreSQL",
        "scan, DuckDB",
        "live rows/s",
    ]
    table = markdown_table(header, [universe_row(figures, *universe) for universe in UNIVERSES])
    return f"{measured}\n\n{table}\n\n{takeover(figures)}"


def main(page: Path = PAGE) -> None:
    write_section("scaling", render(), page)
    print(render())


if __name__ == "__main__":
    main()
