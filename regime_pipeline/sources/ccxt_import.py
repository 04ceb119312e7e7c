"""One exchange of ccxt without the hundred others: importing them all takes two seconds of every hourly run.

What an exchange is asked does not belong here.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

from regime_pipeline.domain.errors import UsageError

_LOCK = Lock()


def exchange_class(name: str) -> Any:
    """Return ccxt's class of an exchange, importing that exchange alone.

    Notes
    -----
    ccxt's own `__init__` imports every exchange. While one is imported, an empty package stands in its place; it is
    gone afterwards, so `import ccxt` elsewhere gets the whole, with the same classes.

    Raises
    ------
    UsageError
        ccxt is not installed, or knows no such exchange; names near ones.
    """
    with _LOCK:
        spec = find_spec("ccxt")
        if spec is None or spec.submodule_search_locations is None:
            raise UsageError(
                f"Candles of {name} need ccxt, which is not installed.", "pip install 'regime-pipeline[exchange]'"
            )
        folders = list(spec.submodule_search_locations)
        known = [path.stem for path in Path(folders[0]).glob("[a-z]*.py")]
        if name not in known:
            near = ", ".join(get_close_matches(name, known)) or "see its list of exchanges"
            raise UsageError(f"There is no exchange '{name}' (near: {near}).", "Correct it in markets.toml.")
        return getattr(_imported(name, folders), name)


def _imported(name: str, folders: list[str]) -> ModuleType:
    """Import one module of ccxt, through the whole package only where that is imported already."""
    if "ccxt" in sys.modules:
        return import_module(f"ccxt.{name}")
    package = ModuleType("ccxt")
    package.__path__ = folders
    sys.modules["ccxt"] = package
    try:
        return import_module(f"ccxt.{name}")
    finally:
        del sys.modules["ccxt"]


def error_classes() -> Any:
    """Return the module of ccxt's error classes; an exchange must have been imported."""
    return sys.modules["ccxt.base.errors"]
