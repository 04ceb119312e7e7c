"""The site in parts: the files of each, a fingerprint of what they are made from, and how to make them.

A part depends on rows and on this package alone, never on the clock. See `writer` for the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

import orjson

from regime_pipeline.dashboard.components.sparklines import strip_of
from regime_pipeline.dashboard.components.templates import squeezed, static_file
from regime_pipeline.dashboard.data.candles import candle_payload
from regime_pipeline.dashboard.data.latest_hour import latest_hour_of
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.data.payload import market_payload
from regime_pipeline.dashboard.site.pages import Assets, index_page, market_page
from regime_pipeline.domain.market_data.market import Market

INDEX: Final = "index.html"
NEWEST: Final = "data/newest.js"
"""Says through when every market goes, for pages that stay open and for the way to another market."""
STYLES: Final = ("vendor/uPlot.min.css", "site.css")
CHART_SCRIPTS: Final = (
    *("vendor/uPlot.iife.min.js", "codec.js", "readout.js"),
    *("crosshair.js", "charts.js", "gestures.js", "panel.js"),
)
"""What draws a payload, without the page around it; times are those of `zones.js`, which every page has."""
_SHARED: Final[Mapping[str, Sequence[str]]] = {
    "site.css": STYLES,
    "common.js": ("zones.js", "settings.js", "glossary.js", "common.js", "newest.js"),
    "overview.js": ("overview.js",),
    "market.js": (*CHART_SCRIPTS, "candles.js", "exports.js", "veil.js", "market.js", "markets.js"),
    "uPlot.LICENSE.txt": ("vendor/LICENSE",),
}
_ESCAPES: Final = {"<": "\\u003c", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True)
class Part:
    """Files that are made together.

    Parameters
    ----------
    paths : tuple of str
        Where they go, relative to the site's folder.
    mark : str
        Stands for everything they are made from: equal marks make equal bytes.
    make : callable
        Makes the content of each path; called only where a file lacks or the mark differs.
    """

    paths: tuple[str, ...]
    mark: str
    make: Callable[[], Mapping[str, bytes]]


def mark_of(*facts: object) -> str:
    """Return a mark of what a part is made from; the code that makes it counts too."""
    return hashlib.sha256("\n".join([_code_mark(), *map(repr, facts)]).encode()).hexdigest()[:16]


def overview_part(mark: str, read: Callable[[], tuple[Sequence[MarketRows], Sequence[Market]]]) -> Part:
    """Return the overview with the files that every page shares.

    Parameters
    ----------
    mark : str
        From `mark_of`.
    read : callable
        Gives the newest week of every market with data, in the order of the site, and the markets without any.
    """

    def make() -> Mapping[str, bytes]:
        markets, empty = read()
        through_ms = max((rows.through_ms for rows in markets), default=0)
        newest = [latest_hour_of(rows, through_ms) for rows in markets]
        strips = {rows.market.key: strip_of(rows) for rows in markets}
        shared = {f"static/{name}": content for name, content in shared_files().items()}
        ends = script({one.market.key: [one.through_ms, one.verdict] for one in newest}, "REGIME_NEWEST")
        return {INDEX: index_page(newest, strips, empty, _assets()).encode(), NEWEST: ends, **shared}

    return Part((INDEX, NEWEST, *(f"static/{name}" for name in _SHARED)), mark, make)


def market_part(
    mark: str, market: Market, siblings: Sequence[Market], through_ms: int, read: Callable[[], MarketRows]
) -> Part:
    """Return one market's page, its payload, and its candles.

    Parameters
    ----------
    mark : str
        From `mark_of`.
    market : Market
        Whose page it is.
    siblings : sequence of Market
        The symbol's markets that have a page, this one included.
    through_ms : int
        Newest close of any market of the site, epoch milliseconds UTC.
    read : callable
        Gives the market's period.
    """
    page, payload, candles = f"{market.key}.html", f"data/{market.key}.js", f"data/{market.key}.candles.js"

    def make() -> Mapping[str, bytes]:
        rows = read()
        files = {payload: script(market_payload(rows)), candles: script(candle_payload(rows), "REGIME_CANDLES")}
        data, bars = (versioned(path, content) for path, content in files.items())
        assets = {**_assets(), "data": data, "candles": bars}
        return {page: market_page(rows, latest_hour_of(rows, through_ms), siblings, assets).encode(), **files}

    return Part((page, payload, candles), mark, make)


@lru_cache(1)
def shared_files() -> Mapping[str, bytes]:
    """Return the style sheet, scripts and licence that every page shares, each joined from its parts."""
    return {name: joined(parts).encode() for name, parts in _SHARED.items()}


def joined(parts: Sequence[str]) -> str:
    """Return static files of this package as one."""
    return "\n".join(squeezed(part, static_file(part)) for part in parts)


def script(payload: Mapping[str, Any], name: str = "REGIME") -> bytes:
    """Return a classic script that assigns the payload: browsers load it from a folder too, where they refuse JSON."""
    return f"window.{name}={inline_json(payload)};\n".encode()


def inline_json(payload: Mapping[str, Any]) -> str:
    """Return JSON that is safe inside a script: nothing in it can end the script."""
    text = orjson.dumps(payload).decode()
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def versioned(address: str, content: bytes) -> str:
    """Return an address that changes with the content, so that no cache shows an old file."""
    return f"{address}?v={hashlib.sha256(content).hexdigest()[:10]}"


def _assets() -> Assets:
    return {name: versioned(f"static/{name}", content) for name, content in shared_files().items()}


@lru_cache(1)
def _code_mark() -> str:
    """Mark of this package's own files: another template or script makes another site of the same rows."""
    files = sorted(_files(_package(), ""))
    return hashlib.sha256(b"\0".join(part for name, content in files for part in (name.encode(), content))).hexdigest()


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _files(entry, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _package() -> Traversable:
    return resources.files("regime_pipeline.dashboard")
