"""One entry for every kind of candle file: path in, sound rows out.

Which kind a file is goes by its name. See `merge` for joining several files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.sources.files.checks import FileRows, check_rows
from regime_pipeline.sources.files.columnar import read_columnar
from regime_pipeline.sources.files.columns import choose_columns
from regime_pipeline.sources.files.containers import unpack
from regime_pipeline.sources.files.documents import read_json, read_json_lines
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.names import read_name
from regime_pipeline.sources.files.table import BadFileError, Grid
from regime_pipeline.sources.files.text import read_delimited

_READERS: Final[dict[str, Callable[[bytes, str, ReadOptions], Grid]]] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".pq": read_columnar,
    ".parquet": read_columnar,
    ".feather": read_columnar,
}


def read_file(path: Path, market: Market, options: ReadOptions) -> list[FileRows]:
    """Return the candles of a file, one part per member of an archive.

    Parameters
    ----------
    path : Path
        `.csv .tsv .txt .json .jsonl .parquet .feather`, each also as `.gz .bz2 .xz` or within a `.zip`, of which
        `FILE.zip:MEMBER` chooses one member.
    market : Market
        The market the candles belong to.
    options : ReadOptions
        How to read what the file does not say itself.

    Raises
    ------
    BadFileError
        Anything is wrong with the file; names file, line, reason and remedy.
    """
    parts = []
    unpacked = unpack(path, _READERS)
    written_ms = _written_ms(path)
    for place, name, content in unpacked.members:
        read = _READERS.get(PurePath(name).suffix.lower())
        if read is None:
            known = f"Known are {' '.join(_READERS)}, each also as .gz, .bz2, .xz or in a .zip."
            raise BadFileError(f"{place} is not a known kind of file.", known)
        promise = read_name(path, market, options.layout) or read_name(Path(name), market, options.layout)
        table = choose_columns(read(content, place, options), market, options)
        rows = check_rows(table, market, options, promise, written_ms)
        skipped = (f"members passed over: {', '.join(unpacked.skipped[:5])}",) if unpacked.skipped else ()
        parts.append(replace(rows, notes=(*rows.notes, *skipped)))
    return parts


def _written_ms(path: Path) -> int | None:
    """Return when a file was last written, epoch milliseconds; None where nobody knows."""
    try:
        return round(path.stat().st_mtime * 1000)
    except (OSError, ValueError):
        return None
