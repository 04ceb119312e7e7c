"""Symbols, `BASE-QUOTE` or `BASE-QUOTE-PERP`: every spelling that venues and people use, read by one parser.

A symbol on a timeframe is a `Market`; what a venue itself calls a symbol stands with the venue's source.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from regime_pipeline.domain.errors import UsageError

STABLE_QUOTES: Final = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "PYUSD", "RLUSD", "USDE", "DAI", "USD")
"""Quotes that stand for a dollar."""
FIAT_QUOTES: Final = ("EUR", "GBP", "JPY", "TRY", "BRL", "AUD", "CAD", "CHF", "KRW")
COIN_QUOTES: Final = ("BTC", "ETH", "BNB")
QUOTES: Final = (*STABLE_QUOTES, *FIAT_QUOTES, *COIN_QUOTES)
"""Quotes by which a symbol without a dash is split."""
PERPETUAL: Final = "PERP"
_PERPETUAL_MARKS: Final = frozenset({PERPETUAL, "SWAP", "P"})
_SETTLED: Final = re.compile(r"(?P<pair>[^:]+):[^:\-]+")
_DATED: Final = re.compile(r".*[-_:]\d{6}(-.*)?")
_SEPARATORS: Final = str.maketrans("/_.", "---")
_SYMBOL: Final = re.compile(r"[^\W_]{1,20}-(?!(?:PERP|SWAP)$)[A-Z0-9]{2,10}(-PERP)?")
_HINT: Final = "Write it as BASE-QUOTE, for example ETH-USDT; a perpetual as BTC-USDT-PERP."


def parse_symbol(text: str, known: Collection[str] = ()) -> str:
    """Return a symbol as `BASE-QUOTE`, a perpetual as `BASE-QUOTE-PERP`.

    Parameters
    ----------
    text : str
        `ETH-USDT`, `ETH/USDT`, `ETH_USDT`, `ETHUSDT`; `BTC-USDT-PERP`, ccxt's `BTC/USDT:USDT`, `BTCUSDT.P`,
        `BTC-USDT-SWAP`, `BTCUSD_PERP`. Letters of any script, in any case.
    known : collection of str
        Symbols that are stored or listed: of several ways to split a symbol without a dash, the known one is meant.

    Raises
    ------
    UsageError
        The text names no base and quote, names a contract that expires, or can be split in several ways; names them.
    """
    return _parse(text) if not known else _parse_among(text, frozenset(known))


@lru_cache(4_096)
def _parse(text: str) -> str:
    pair, is_perpetual = _pair_of(text)
    if "-" not in pair:
        found = splits(pair)
        if len(found) > 1:
            raise _ambiguous(text, [name + f"-{PERPETUAL}" * is_perpetual for name in found])
        pair = found[0] if found else pair
    symbol = f"{pair}-{PERPETUAL}" if is_perpetual else pair
    if not _SYMBOL.fullmatch(symbol):
        raise UsageError(f"'{text}' is not a symbol.", _HINT)
    return symbol


def _parse_among(text: str, known: frozenset[str]) -> str:
    pair, is_perpetual = _pair_of(text)
    candidates = [name + f"-{PERPETUAL}" * is_perpetual for name in splits(pair)] if "-" not in pair else []
    stored = [name for name in candidates if name in known]
    if len(stored) == 1:
        return stored[0]
    if len(candidates) > 1:
        raise _ambiguous(text, [*stored, *(name for name in candidates if name not in stored)])
    return _parse(text)


def _ambiguous(text: str, candidates: list[str]) -> UsageError:
    return UsageError(
        f"'{text}' can be {' or '.join(candidates)}.", f"Write it with a dash, for example {candidates[0]}."
    )


def _pair_of(text: str) -> tuple[str, bool]:
    """Return the pair in upper case with dashes, and whether it is a perpetual."""
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).strip().upper())
    if _DATED.fullmatch(name):
        raise UsageError(f"'{text}' is a contract that expires.", "Only spot pairs and perpetuals have regimes.")
    settled = _SETTLED.fullmatch(name)
    name = (settled["pair"] if settled else name).translate(_SEPARATORS)
    head, dash, tail = name.rpartition("-")
    is_marked = bool(dash) and tail in _PERPETUAL_MARKS and ("-" in head or bool(splits(head)))
    return (head if is_marked else name), is_marked or settled is not None


def splits(name: str) -> list[str]:
    """Return every `BASE-QUOTE` that an upper-case name without a dash can stand for, the longest quote first."""
    found = [quote for quote in QUOTES if name.endswith(quote) and len(name) > len(quote)]
    return [f"{name.removesuffix(quote)}-{quote}" for quote in sorted(found, key=len, reverse=True)]
