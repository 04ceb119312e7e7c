"""Symbols written with a slash in a path: `/ETH/USDT/` and `/ETH%2FUSDT/` are the segment `/ETH-USDT/`.

See `params` for what a symbol is.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from starlette.types import Scope

_ENCODED: Final = re.compile("%2f", re.IGNORECASE)
_BASE: Final = r"(?P<base>[^/-]+)"
_TIMEFRAME: Final = r"\d+[mhdwM]"
_SPLIT: Final = (
    re.compile(
        rf"(?P<head>/api/(?:data/regime|verdicts|candles)/){_BASE}/(?!{_TIMEFRAME}/)(?P<rest>[^/]+/{_TIMEFRAME}(?:/.*)?)"
    ),
    re.compile(rf"(?P<head>/api/(?:grids|gates)/){_BASE}/(?!(?:events|stop|restart)$)(?P<rest>[^/]+(?:/[^/]+)?)"),
)
"""A segment without a dash where a symbol is due, and after it one that can only be its quote currency."""


def with_one_segment(scope: Scope) -> Scope:
    """Return the scope of a request with its symbol as one segment; the same scope where it is one."""
    path = scope["path"]
    raw = scope.get("raw_path", b"").decode("latin-1")
    if _ENCODED.search(raw):  # whatever has decoded it
        path = unquote(_ENCODED.sub("-", raw))
    found = next(filter(None, (form.fullmatch(path) for form in _SPLIT)), None)
    if found:
        path = f"{found['head']}{found['base']}-{found['rest']}"
    return scope if path == scope["path"] else {**scope, "path": path}
