"""The list that a running pipeline goes on with while markets.toml cannot be read: the last one that could.

A slip in the file must not fail an open backfill or stop the live hours. Commands that a person starts do not fall
back: they say what is wrong (`universe`).
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from regime_pipeline._bounded_io import read_document
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.services.universe import Universe, load_universe

_LOG: Final = logging.getLogger(__name__)


def kept_copy(path: Path, home: Path) -> Path:
    """Return where the last good text of a markets file is kept, a place of its own for each file."""
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
    return home / "last-good" / f"markets-{name}.toml"


def load_last_good(path: Path, home: Path, start: datetime | None = None, end: datetime | None = None) -> Universe:
    """Read a markets file; while it is broken, log why and return the last list that was sound.

    Parameters
    ----------
    path : Path
        The markets file.
    home : Path
        Project home, where the last good text is kept.
    start, end : datetime, optional
        Override the span of the partitions.

    Raises
    ------
    UsageError
        The file cannot be read, and no earlier text of it is kept.
    """
    kept = kept_copy(path, home)
    try:
        universe = load_universe(path, start, end)
    except UsageError as error:
        if not path.exists() or not kept.exists():
            raise
        earlier = load_universe(kept, start, end)
        _LOG.warning("%s The pipeline goes on with the last list that was sound, %s.", error, kept)
        return earlier
    with suppress(OSError):  # a home that cannot be written to has no copy, and the list is sound
        _keep(read_document(path), kept)
    return universe


def _keep(text: str, kept: Path) -> None:
    if kept.exists() and read_document(kept) == text:
        return
    kept.parent.mkdir(mode=0o700, exist_ok=True)  # a home that is not there yet is made by its first run
    with NamedTemporaryFile("w", encoding="utf-8", dir=kept.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(kept)
