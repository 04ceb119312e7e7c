"""Pages, payloads and shared files as a folder: written only where they differ, old ones of ours removed.

What stands in a page does not belong here; the folder depends on the rows alone, never on the clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import orjson

from regime_pipeline.dashboard.newest import Newest, newest_of
from regime_pipeline.dashboard.pages import Assets, index_page, market_page
from regime_pipeline.dashboard.payload import market_payload
from regime_pipeline.dashboard.rows import MarketRows
from regime_pipeline.dashboard.strips import strip_of
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market import Market

LISTING: Final = "files.json"
"""Names every file of the site; what it named and is no longer part of the site is removed."""
_SHARED: Final[Mapping[str, Sequence[str]]] = {
    "site.css": ("vendor/uPlot.min.css", "site.css"),
    "common.js": ("common.js",),
    "market.js": ("vendor/uPlot.iife.min.js", "codec.js", "charts.js", "readout.js", "exports.js", "market.js"),
    "uPlot.LICENSE.txt": ("vendor/LICENSE",),
}
_ESCAPES: Final = {"<": "\\u003c", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What a build did: files written, left alone because nothing changed, and removed; and the overview's place."""

    index: Path
    markets: int
    written: int
    unchanged: int
    removed: int


def site_files(markets: Sequence[MarketRows], empty: Sequence[Market] = ()) -> dict[str, bytes]:
    """Return the files of the site by their path in it.

    Parameters
    ----------
    markets : sequence of MarketRows
        Markets with data, in the order of the site.
    empty : sequence of Market
        Markets without any yet; the overview names them.
    """
    shared = shared_files()
    assets = {name: versioned(f"static/{name}", content) for name, content in shared.items()}
    through_ms = max((rows.through_ms for rows in markets), default=0)
    newest = {rows.market.key: newest_of(rows, through_ms) for rows in markets}
    strips = {rows.market.key: strip_of(rows) for rows in markets}
    files = {f"static/{name}": content for name, content in shared.items()}
    files["index.html"] = index_page(list(newest.values()), strips, empty, assets).encode()
    known = [rows.market for rows in markets]
    for rows in markets:
        files |= _market_files(rows, newest[rows.market.key], known, assets)
    return files


def _market_files(rows: MarketRows, newest: Newest, known: Sequence[Market], assets: Assets) -> dict[str, bytes]:
    key = rows.market.key
    data = script(market_payload(rows))
    addresses = {**assets, "data": versioned(f"data/{key}.js", data)}
    return {f"data/{key}.js": data, f"{key}.html": market_page(rows, newest, known, addresses).encode()}


def shared_files() -> dict[str, bytes]:
    """Return the style sheet, scripts and licence that every page shares, each joined from its parts."""
    folder = resources.files("regime_pipeline.dashboard") / "static"
    return {
        name: "\n".join(_squeezed(part, (folder / part).read_text("utf-8")) for part in parts).encode()
        for name, parts in _SHARED.items()
    }


def _squeezed(part: str, text: str) -> str:
    """Our own scripts without comment lines and indentation, which readers of the site need not load."""
    if part.startswith("vendor/") or not part.endswith(".js"):
        return text
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("/*")) + "\n"


def script(payload: Mapping[str, Any]) -> bytes:
    """Return a classic script that assigns the payload: browsers load it from a folder too, where they refuse JSON."""
    text = orjson.dumps(payload).decode()
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return f"window.REGIME={text};\n".encode()


def versioned(address: str, content: bytes) -> str:
    """Return an address that changes with the content, so that no cache shows an old file."""
    return f"{address}?v={hashlib.sha256(content).hexdigest()[:10]}"


def write_site(files: Mapping[str, bytes], folder: Path, markets: int) -> SiteReport:
    """Make a folder hold exactly these files of the site; files that no build wrote stay.

    Raises
    ------
    UsageError
        The folder holds other things and no site, or cannot be written.
    """
    before = _listed(folder)
    listing = orjson.dumps(sorted(files), option=orjson.OPT_INDENT_2) + b"\n"
    try:
        changed = [path for path, content in files.items() if _write(folder / path, content)]
        gone = [path for path in before if path not in files and _remove(folder, path)]
        _write(folder / LISTING, listing)
    except OSError as error:
        raise UsageError(
            f"The site cannot be written to {folder}: {error.strerror}.", "Name another folder."
        ) from error
    return SiteReport(folder / "index.html", markets, len(changed), len(files) - len(changed), len(gone))


def _listed(folder: Path) -> list[str]:
    """What an earlier build wrote; nothing in a new or empty folder."""
    listing = folder / LISTING
    if listing.is_file():
        return [str(path) for path in orjson.loads(listing.read_bytes())]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds other things than a dashboard.", "Name a new or an empty folder.")
    return []


def _write(path: Path, content: bytes) -> bool:
    """Write a file unless it holds the content already; readers see the old one or the new one, never a part."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
    return True


def _remove(folder: Path, path: str) -> bool:
    """Remove a file of an earlier build, if it lies in the folder."""
    target = (folder / path).resolve()
    if folder.resolve() not in target.parents or not target.is_file():
        return False
    target.unlink()
    return True
