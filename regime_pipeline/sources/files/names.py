"""What a file's name promises: the market, the span it covers, the day its times count from.

Only the naming of known archives belongs here; other names promise nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.sources.files.table import BadFileError

_ARCHIVE: Final = re.compile(r"([A-Z0-9]+)-(\d+[a-z]+)-(\d{4})-(\d{2})(?:-(\d{2}))?(?:\.csv)?(?:\.gz|\.zip)?")
_LEAN: Final = re.compile(r"(\d{4})(\d{2})(\d{2})_trade\.zip")


@dataclass(frozen=True, slots=True)
class Promise:
    """What a name says: the span covered, and whether times count from its start (LEAN)."""

    span: tuple[int, int]
    is_lean: bool = False


def read_name(path: Path, market: Market, layout: str) -> Promise | None:
    """Return what a file's name promises, or None.

    `BTCUSDT-1m-2020-02-09.zip` covers that UTC day and `BTCUSDT-1m-2020-02.zip` the month (bulk archives);
    `20180404_trade.zip` covers the day its times count from (LEAN minutes).

    Raises
    ------
    BadFileError
        The name promises another market, or no such day exists, or the layout is LEAN and the name has no day.
    """
    lean = _LEAN.fullmatch(path.name) if layout in ("auto", "lean") else None
    if layout == "lean" and not lean:
        raise BadFileError(f"{path} has no day in its name.", "LEAN minute files are named YYYYMMDD_trade.zip.")
    archive = None if lean else _ARCHIVE.fullmatch(path.name)
    if not lean and not archive:
        return None
    promised = _lean_market(path) if lean else _archive_market(archive)
    if promised not in ("", f"{market.symbol.replace('-', '')} {market.timeframe}"):
        raise BadFileError(f"{path} holds {promised} by its name, not {market}.", "Give the market the file holds.")
    year, month, day = (lean or archive).groups()[-3:]  # type: ignore[union-attr]
    try:
        return Promise(span_of(int(year), int(month), int(day or 0)), is_lean=bool(lean))
    except ValueError as error:
        raise BadFileError(f"{path} names a day that does not exist: {error}.", "Restore the file's name.") from error


def _archive_market(match: re.Match[str] | None) -> str:
    return f"{match[1]} {match[2]}" if match else ""


def _lean_market(path: Path) -> str:
    """The market of LEAN's own folders, `.../minute/btcusd/20180404_trade.zip`; elsewhere nothing is promised."""
    parts = path.resolve().parts
    is_lean_tree = parts[-3:-2] == ("minute",)
    return f"{parts[-2].upper()} 1m" if is_lean_tree else ""


def span_of(year: int, month: int, day: int) -> tuple[int, int]:
    """Return the UTC day, or with day 0 the month, as half-open epoch milliseconds."""
    start = datetime(year, month, day or 1, tzinfo=UTC)
    end = start + timedelta(days=1) if day else (start + timedelta(days=31)).replace(day=1)
    return round(start.timestamp() * 1000), round(end.timestamp() * 1000)
