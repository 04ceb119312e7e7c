"""Grid histories in files, as `regime grid export` writes them.

See `domain.grids.formats` for the forms, `grids` for storing what was read.
"""

from __future__ import annotations

from pathlib import Path

from regime_pipeline._bounded_io import read_document
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.formats import from_json, from_toml
from regime_pipeline.domain.grids.versions import History


def read_histories(path: Path) -> dict[str, History]:
    """Read the histories of a TOML or JSON file by symbol.

    Raises
    ------
    UsageError
        The file is absent, of another kind, too large or not UTF-8.
    GridConfigError
        Anything in it is refused; every fault is named with its place.
    """
    read = {".toml": from_toml, ".json": from_json}.get(path.suffix.lower())
    if read is None or not path.is_file():
        raise UsageError(f"{path} is not a TOML or JSON file.", "Name a file ending in .toml or .json.")
    try:
        text = read_document(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Export the grids again.") from error
    return read(text)
