"""Reading candle files into a plan: every file of an import is checked, and reported on, before anything is written.

See `sources.files` for file formats, `run` for what is decided, `write` for writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import Spans, clip_spans, merge_spans
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.no_trade import GAP, AbsentBars
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.sources.files.checks import FileRows
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.merge import Merged, find_gaps, merge_rows
from regime_pipeline.sources.files.reader import read_file

Bar = dict[str, Any]
Gaps = tuple[tuple[int, int], ...]
CHECKSUM_SUFFIX: Final = ".CHECKSUM"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file held.

    Parameters
    ----------
    path : Path
        The file.
    rows : int
        Candles read.
    first_ms, last_ms : int
        Open times of its first and last candle, epoch milliseconds UTC.
    gaps, absent_bars : int
        Runs of confirmed absences within the span that the file covers, and the bars in them.
    duplicates : int
        Exact repetitions dropped.
    rejects : int
        Candles left out: not closed yet, or (if so asked) not on a multiple of the timeframe.
    first_bar, last_bar : dict or None
        Its first and last candle that are imported: `open_time`, `open`, `high`, `low`, `close`, `volume`.
    is_turned : bool
        The file lists the newest candle first.
    columns : mapping of str to str
        What the file calls each field.
    dropped : mapping of str to int
        Rows left out, by kind.
    notes : tuple of str
        Decisions and warnings, one sentence each.
    """

    path: Path
    rows: int
    first_ms: int
    last_ms: int
    gaps: int
    absent_bars: int
    duplicates: int
    rejects: int
    first_bar: Bar | None = None
    last_bar: Bar | None = None
    is_turned: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ImportPlan:
    """Everything a set of files holds for one market, checked and ready to be written.

    Parameters
    ----------
    candles : Candles
        Closed candles, oldest first.
    covered : tuple of (start_ms, end_ms)
        Merged spans of open time that the files cover; what was stored there before is replaced.
    gaps : tuple of (start_ms, bars)
        Confirmed absences within, oldest first.
    files : tuple of FileReport
        One per file, in the order given.
    absent_bars : {"gap", "no_trade"}
        What the gaps are.
    """

    market: Market
    candles: Candles
    covered: Spans
    gaps: Gaps
    files: tuple[FileReport, ...]
    absent_bars: AbsentBars = GAP

    @property
    def span_ms(self) -> tuple[int, int]:
        """First open and last close of the candles, epoch milliseconds UTC."""
        return int(self.candles.open_time_ms[0]), int(self.candles.close_time_ms[-1])

    @property
    def unknown(self) -> Spans:
        """Spans between the covered ones, which no file covers."""
        return tuple((a[1], b[0]) for a, b in zip(self.covered, self.covered[1:], strict=False))


def read_files(paths: Iterable[Path], market: Market, options: ReadOptions, now_ms: int) -> ImportPlan:
    """Read and check files of one market; nothing is written.

    Parameters
    ----------
    paths : iterable of Path
        The files in any order; `.CHECKSUM` files are passed over (they are compared with the zip beside them).
    market : Market
        The market whose candles they hold.
    options : ReadOptions
        How to read what the files do not say themselves.
    now_ms : int
        Epoch milliseconds UTC; candles that close later are left out and counted.

    Raises
    ------
    BadFileError
        A file is refused, or two contradict each other.
    UsageError
        There are no files, or no closed candle in them.
    """
    files = {path: read_file(path, market, options) for path in paths if path.suffix != CHECKSUM_SUFFIX}
    if not any(files.values()):
        raise UsageError("There are no candle files to import.", "Name at least one file.")
    merged = merge_rows([part for parts in files.values() for part in parts], market, now_ms, options.price_scale)
    if not len(merged.candles):
        raise UsageError(f"None of the candles is closed yet; {market} stays as it is.", "Import the files later.")
    gaps = find_gaps(market, merged.candles, merged.covered)
    return ImportPlan(market, merged.candles, merged.covered, gaps, _reports(files, merged))


def _reports(files: Mapping[Path, Sequence[FileRows]], merged: Merged) -> tuple[FileReport, ...]:
    """One report per file; `merged` counts by part, in the order of the files."""
    reports, at = [], 0
    newest_ms = merged.covered[-1][1]
    for path, parts in files.items():
        of_file = slice(at, at + len(parts))
        at += len(parts)
        covered = clip_spans(
            merge_spans(span for part in parts for span in part.covered), merged.covered[0][0], newest_ms
        )
        still_open = int(merged.still_open[of_file].sum())
        reports.append(_report(path, parts, merged, covered, int(merged.duplicates[of_file].sum()), still_open))
    return tuple(reports)


def _report(
    path: Path, parts: Sequence[FileRows], merged: Merged, covered: Spans, duplicates: int, still_open: int
) -> FileReport:
    gaps = find_gaps(merged.candles.market, merged.candles, covered)
    unaligned = sum(part.unaligned for part in parts)
    first_ms = min(int(part.open_time_ms[0]) for part in parts)
    last_ms = max(int(part.open_time_ms[-1]) for part in parts)
    dropped = {"duplicate": duplicates, "unfinished": still_open, "between two bars": unaligned}
    for part in parts:
        for kind, rows in part.dropped.items():
            dropped[kind] = dropped.get(kind, 0) + rows
    held = merged.candles.between(first_ms, last_ms + 1)
    return FileReport(
        path,
        sum(len(part.row) + part.unaligned for part in parts),
        first_ms,
        last_ms,
        len(gaps),
        sum(bars for _, bars in gaps),
        duplicates,
        still_open + unaligned,
        _bar(held, 0) if len(held) else None,
        _bar(held, len(held) - 1) if len(held) else None,
        any(part.is_turned for part in parts),
        parts[0].table.names,
        {kind: rows for kind, rows in dropped.items() if rows},
        tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def _bar(candles: Candles, at: int) -> Bar:
    prices = {name: int(getattr(candles, name)[at]) / candles.price_scale for name in ("open", "high", "low", "close")}
    return {"open_time": to_iso(int(candles.open_time_ms[at])), **prices, "volume": float(candles.volume[at])}
