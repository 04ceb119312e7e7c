"""One entry for every kind of candle file: path in, sound rows out.

Which kind a file is goes by its name; joining several files stands in `merge`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Final

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.sources.files.checks import FileRows, check_rows
from regime_pipeline.sources.files.containers import unpack
from regime_pipeline.sources.files.formats import read_columnar, read_delimited, read_json
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.names import read_name
from regime_pipeline.sources.files.table import BadFileError, FileTable

_READERS: Final[dict[str, Callable[[bytes, str, ReadOptions], FileTable]]] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".json": read_json,
    ".parquet": read_columnar,
    ".feather": read_columnar,
}


def read_file(path: Path, market: Market, options: ReadOptions) -> list[FileRows]:
    """Return the candles of a file, one part per member of an archive.

    Parameters
    ----------
    path : Path
        `.csv .tsv .txt .json .parquet .feather`, each also as `.gz` or within a `.zip`.
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
    for place, name, content in unpack(path):
        read = _READERS.get(PurePath(name).suffix.lower())
        if read is None:
            raise BadFileError(f"{place} is not a known kind of file.", f"Use {' '.join(_READERS)}, .gz and .zip.")
        promise = read_name(path, market, options.layout) or read_name(Path(name), market, options.layout)
        parts.append(check_rows(read(content, place, options), market, options, promise))
    return parts
