"""The site's folder: parts are rebuilt only where they differ, and our own old files are removed.

See `parts` for what the files contain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from regime_pipeline.dashboard.site.parts import INDEX, Part
from regime_pipeline.domain.errors import UsageError

LISTING: Final = "files.json"
"""Names every file of the site and the mark of its part; what it named and is no longer part of the site is removed."""
_ADDRESS: Final = re.compile(r'(?:href|src)="(?!https?:|data:|#)([^"?#]+)')


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What a build did.

    Parameters
    ----------
    index : Path
        The overview.
    markets : int
        Markets that have a page.
    made : tuple of str
        First path of each part that was made again.
    written, unchanged, removed : int
        Files.
    size_bytes : int
        Of the whole site.
    """

    index: Path
    markets: int
    made: tuple[str, ...]
    written: int
    unchanged: int
    removed: int
    size_bytes: int


def prepare_folder(folder: Path) -> None:
    """Make the folder of a site, or accept one that is empty or holds a site.

    Raises
    ------
    UsageError
        It holds other things, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not (folder / LISTING).is_file() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UsageError(f"{folder} contains files other than a dashboard's.", "Name a new or an empty folder.")


def write_site(parts: Sequence[Part], folder: Path) -> SiteReport:
    """Make a prepared folder hold exactly the files of these parts; files that no build wrote stay.

    Raises
    ------
    UsageError
        The folder cannot be written.
    """
    before = _marks(folder)
    made, written = [], 0
    try:
        for part in parts:
            if not _is_current(part, before, folder):
                made.append(part.paths[0])
                written += sum(_write(folder / path, content) for path, content in part.make().items())
        after = {path: part.mark for part in parts for path in part.paths}
        gone = [path for path in before if path not in after and _remove(folder, path)]
        _write(folder / LISTING, orjson.dumps(after, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    except OSError as error:
        raise _unwritable(folder, error) from error
    return SiteReport(
        index=folder / INDEX,
        markets=len(parts) - 1,
        made=tuple(made),
        written=written,
        unchanged=len(after) - written,
        removed=len(gone),
        size_bytes=sum((folder / path).stat().st_size for path in after),
    )


def broken_links(folder: Path) -> list[str]:
    """Return every file that a page of the site names and that is not there, as `page: file`, sorted."""
    return sorted(
        f"{page.name}: {address}"
        for page in folder.glob("*.html")
        for address in set(_ADDRESS.findall(page.read_text("utf-8")))
        if not (folder / address).is_file()
    )


def _marks(folder: Path) -> Mapping[str, str]:
    """Mark of each file by its path, as the build before wrote them; none where the listing cannot be read."""
    try:
        found: Any = orjson.loads((folder / LISTING).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return {str(path): str(mark) for path, mark in found.items()} if isinstance(found, dict) else {}


def _is_current(part: Part, before: Mapping[str, str], folder: Path) -> bool:
    return all(before.get(path) == part.mark and (folder / path).is_file() for path in part.paths)


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


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"The site cannot be written to {folder}: {error.strerror}.", "Name another folder.")
