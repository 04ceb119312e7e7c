"""Reading candle files into a plan: every file of an import is checked, and reported on, before anything is written.

File formats stand in `sources.files`; writing the plan stands in `import_candles`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import Spans, clip_spans, merge_spans
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.sources.files.checks import FileRows
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.merge import Merged, find_gaps, merge_rows
from regime_pipeline.sources.files.reader import read_file

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
        Runs of confirmed absences within the span for which the file vouches, and the bars in them.
    duplicates : int
        Exact repetitions dropped.
    rejects : int
        Candles left out: not closed yet, or (if so asked) not on a multiple of the timeframe.
    """

    path: Path
    rows: int
    first_ms: int
    last_ms: int
    gaps: int
    absent_bars: int
    duplicates: int
    rejects: int


@dataclass(frozen=True, eq=False)
class ImportPlan:
    """Everything a set of files holds for one market, checked and ready to be written.

    Parameters
    ----------
    candles : Candles
        Closed candles, oldest first.
    covered : tuple of (start_ms, end_ms)
        Merged spans of open time for which the files vouch; what was stored there before is replaced.
    gaps : tuple of (start_ms, bars)
        Confirmed absences within, oldest first.
    files : tuple of FileReport
        One per file, in the order given.
    """

    market: Market
    candles: Candles
    covered: Spans
    gaps: Gaps
    files: tuple[FileReport, ...]

    @property
    def span_ms(self) -> tuple[int, int]:
        """First open and last close of the candles, epoch milliseconds UTC."""
        return int(self.candles.open_time_ms[0]), int(self.candles.close_time_ms[-1])

    @property
    def unknown(self) -> Spans:
        """Spans between the covered ones, for which no file vouches."""
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
        A file is refused, or two contradict one another.
    UsageError
        There are no files, or no closed candle in them.
    """
    files = {path: read_file(path, market, options) for path in paths if path.suffix != CHECKSUM_SUFFIX}
    if not files:
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
        gaps = find_gaps(merged.candles.market, merged.candles, covered)
        reports.append(
            FileReport(
                path,
                sum(len(part.row) + part.unaligned for part in parts),
                min(int(part.open_time_ms[0]) for part in parts),
                max(int(part.open_time_ms[-1]) for part in parts),
                len(gaps),
                sum(bars for _, bars in gaps),
                int(merged.duplicates[of_file].sum()),
                int(merged.still_open[of_file].sum()) + sum(part.unaligned for part in parts),
            )
        )
    return tuple(reports)
