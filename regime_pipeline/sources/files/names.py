"""What a file's name, or a text inside a file, says about its market: symbol, timeframe, the span it covers.

Only what is certain counts: a symbol with its timeframe beside it, or a pair in one word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from regime_pipeline.domain.market_data.market import TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.symbols import FIAT_QUOTES, STABLE_QUOTES, splits
from regime_pipeline.sources.files.table import BadFileError

_ARCHIVE: Final = re.compile(r"([A-Z0-9]+)(?:_PERP)?-(\d+[a-z]+)-(\d{4})-(\d{2})(?:-(\d{2}))?(?:\.csv)?(?:\.gz|\.zip)?")
_LEAN: Final = re.compile(r"(\d{4})(\d{2})(\d{2})_trade\.zip")
_FREQTRADE: Final = re.compile(r"(?:.*__)?([A-Z0-9]+)_([A-Z0-9]+?)(_[A-Z0-9]+)?-(\d+[mhd])(?:-(?:futures|spot))?\..*")
_WORDS: Final = re.compile(r"[^\W_]+")
_TIMEFRAME: Final = re.compile(r"(\d+)(m|min|h|d)|(d|h|daily|hourly|minute)", re.IGNORECASE)
_TIMEFRAME_WORDS: Final = {"d": 1440, "daily": 1440, "h": 60, "hourly": 60, "minute": 1}
_STATED: Final = re.compile(r"(?:PT?)?(\d+) ?_?(m|min|minutes?|h|hours?|d|days?)", re.IGNORECASE)
_MONTHS: Final = re.compile(r"P?\d+ ?M")
_NUMBERS: Final = {"ONE_": "1", "FIVE_": "5", "FIFTEEN_": "15", "THIRTY_": "30", "SIX_": "6", "FOUR_": "4", "TWO_": "2"}
_NUMBER_WORDS: Final = re.compile("|".join(_NUMBERS), re.IGNORECASE)
_UNITS: Final = {"m": 1, "min": 1, "h": 60, "d": 1440}
_PLAIN_MINUTES: Final = frozenset({"1", "5", "15", "30", "60", "240", "1440"})
_ALIASES: Final = {"XBT": "BTC", "XXBT": "BTC", "XETH": "ETH", "XDG": "DOGE", "ZUSD": "USD", "ZEUR": "EUR"}
_KRAKEN: Final = re.compile(r"X([A-Z]{3})Z([A-Z]{3})")
_SURE_QUOTES: Final = frozenset({*STABLE_QUOTES, *FIAT_QUOTES[:3]})
_NO_BASES: Final = frozenset({"BINANCE", "KRAKEN", "COINBASE", "BITSTAMP", "BYBIT", "OKX", "DATA", "PRICE", "CANDLES"})


@dataclass(frozen=True, slots=True)
class Promise:
    """What a name says: the span covered, and whether times count from its start (LEAN)."""

    span: tuple[int, int]
    is_lean: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What a text says of a market: the pairs that its symbol can stand for, and minutes of a bar (0: nothing)."""

    word: str
    pairs: frozenset[str]
    minutes: int = 0
    is_perpetual: bool = False


def read_name(path: Path, market: Market, layout: str) -> Promise | None:
    """Return what a file's name promises, or None.

    `BTCUSDT-1m-2020-02-09.zip` covers that UTC day and `BTCUSDT-1m-2020-02.zip` the month (bulk archives);
    `20180404_trade.zip` covers the day its times count from (LEAN minutes).

    Raises
    ------
    BadFileError
        The name says another market, or no such day exists, or the layout is LEAN and the name has no day.
    """
    lean = _LEAN.fullmatch(path.name) if layout in ("auto", "lean") else None
    if layout == "lean" and not lean:
        raise BadFileError(f"{path} has no day in its name.", "LEAN minute files are named YYYYMMDD_trade.zip.")
    archive = None if lean else _ARCHIVE.fullmatch(path.name)
    promised = _lean_market(path) if lean else f"{archive[1]} {archive[2]}" if archive else ""
    known = f"{market.symbol.replace('-', '').removesuffix('PERP')} {market.timeframe}"
    if promised and promised != known:
        _refuse_other(str(path), said_by_name(path.name), market)
        raise BadFileError(f"{path} holds {promised} by its name, not {market}.", "Give the market the file holds.")
    _refuse_other(str(path), said_by_name(path.name), market)
    if not lean and not archive:
        return None
    year, month, day = (lean or archive).groups()[-3:]  # type: ignore[union-attr]
    try:
        return Promise(span_of(int(year), int(month), int(day or 0)), is_lean=bool(lean))
    except ValueError as error:
        raise BadFileError(f"{path} names a day that does not exist: {error}.", "Restore the file's name.") from error


def _lean_market(path: Path) -> str:
    """The market of LEAN's own folders, `.../minute/btcusd/20180404_trade.zip`; elsewhere nothing is promised."""
    parts = path.resolve().parts
    is_lean_tree = parts[-3:-2] == ("minute",)
    return f"{parts[-2].upper()} 1m" if is_lean_tree else ""


def said_by_name(name: str) -> Said | None:
    """Return what a file's name says of its market, None if nothing is certain."""
    if match := _FREQTRADE.fullmatch(name):
        pair = f"{match[1]}-{match[2]}"
        return Said(pair, frozenset({pair}), _minutes(match[4]), is_perpetual=bool(match[3]))
    words = _WORDS.findall(name.partition(".")[0])
    for at, word in enumerate(words):
        rest = words[at + 1 :]
        is_marked = bool(rest) and rest[0].upper() in ("PERP", "SWAP")
        minutes = _minutes("".join(rest[1:2] if is_marked else rest[:1]))
        pairs = _pairs(word)
        sure = {pair for pair in pairs if pair.partition("-")[2] in _SURE_QUOTES and pair.index("-") > 1}
        if sure and (word.isupper() or minutes):
            return Said(word, frozenset(pairs), minutes, is_marked)
        two = f"{word}-{rest[0]}".upper() if rest else ""
        after = _minutes(rest[1]) if len(rest) > 1 else 0
        if after and rest[0].upper() in _SURE_QUOTES and word.upper() not in _NO_BASES and word.isalnum():
            return Said(two, frozenset({two}), after)
    return None


def said_by_text(text: str) -> Said | None:
    """Return what a cell such as `BTCUSDT`, `BINANCE:BTCUSDT` or `BTC/USD` says, None if it names no pair."""
    name = text.strip().upper().rpartition(":")[2].removeprefix("MARKET.").partition(".KLINE")[0]
    parts = [part for part in re.split(r"[-/_. ]", name) if part]
    is_marked = parts[-1:] in (["PERP"], ["SWAP"], ["P"])
    parts = parts[:-1] if is_marked else parts
    if len(parts) == 2 and all(part.isalnum() for part in parts):
        pair = "-".join(_ALIASES.get(part, part) for part in parts)
        return Said(text, frozenset({pair}), is_perpetual=is_marked)
    pairs = _pairs(parts[0]) if len(parts) == 1 else set()
    return Said(text, frozenset(pairs), is_perpetual=is_marked) if pairs else None


def refuse_other_market(place: str, texts: Iterable[str], market: Market) -> None:
    """Refuse a file whose own cells name another market.

    Raises
    ------
    BadFileError
        A text names another pair than the market's, or the texts name several.
    """
    found = sorted({text for text in texts if text})
    if len(found) > 1:
        raise BadFileError(f"{place} holds several markets: {', '.join(found[:5])}.", "Split it, one market per file.")
    for text in found:
        _refuse_other(place, said_by_text(text), market)


def refuse_other_timeframe(place: str, texts: Iterable[str], market: Market) -> None:
    """Refuse a file whose own cells name another timeframe (`1h`, `1HOUR`, `PT1H`); what is unclear is passed over.

    Raises
    ------
    BadFileError
        A text names another timeframe than the market's.
    """
    names = {minutes: name for name, minutes in TIMEFRAME_MINUTES.items()}
    for text in sorted(set(texts)):
        minutes = _stated_minutes(text)
        if minutes and minutes != TIMEFRAME_MINUTES[market.timeframe]:
            todo = (
                f"Say --market {market.symbol}_{names[minutes]}." if minutes in names else "Make bars of the market's."
            )
            raise BadFileError(f"{place} holds {text} bars by what it says, not {market.timeframe}.", todo)


def _stated_minutes(text: str) -> int:
    """Return the minutes that a cell states; 0 where it states none for sure."""
    word = _NUMBER_WORDS.sub(lambda match: _NUMBERS[match[0].upper()], text.strip())
    match = None if _MONTHS.fullmatch(word) else _STATED.fullmatch(word)
    return int(match[1]) * _UNITS[match[2][0].lower()] if match else 0


def _refuse_other(place: str, said: Said | None, market: Market) -> None:
    if said is None:
        return
    base, quote = market.symbol.split("-")[:2]
    pair, is_perpetual = f"{_ALIASES.get(base, base)}-{quote}", market.symbol.endswith("-PERP")
    is_other = pair not in said.pairs or (said.is_perpetual and not is_perpetual)
    step = said.minutes or TIMEFRAME_MINUTES[market.timeframe]
    if not is_other and step == TIMEFRAME_MINUTES[market.timeframe]:
        return
    names = {minutes: name for name, minutes in TIMEFRAME_MINUTES.items()}
    mark = "-PERP" if said.is_perpetual else ""
    wanted = sorted(said.pairs, key=lambda text: (text != pair, -len(text.partition("-")[0])))[0] + mark
    holds = f"{said.word} {names.get(said.minutes, '')}".strip()
    how = "by its name" if said.minutes else "by what it says"
    todo = f"Say --market {wanted}_{names[step]}" if step in names else f"Markets are on {', '.join(TIMEFRAME_MINUTES)}"
    raise BadFileError(
        f"{place} holds {holds} {how}, not {market}.", f"{todo}; or rename the file if its name is wrong."
    )


def _pairs(word: str) -> set[str]:
    """Return every pair that a word can stand for, in common names."""
    name = word.upper()
    if match := _KRAKEN.fullmatch(name):
        name = match[1] + match[2]
    found = (pair.partition("-") for pair in splits(name))
    return {f"{_ALIASES.get(base, base)}-{quote}" for base, _, quote in found}


def _minutes(word: str) -> int:
    """Return the minutes of a word such as 1h, 60, 5min or d; 0 if it is not a timeframe."""
    if word in _PLAIN_MINUTES:
        return int(word)
    match = _TIMEFRAME.fullmatch(word)
    if not match:
        return 0
    return int(match[1]) * _UNITS[match[2].lower()] if match[1] else _TIMEFRAME_WORDS[match[3].lower()]


def span_of(year: int, month: int, day: int) -> tuple[int, int]:
    """Return the UTC day, or with day 0 the month, as half-open epoch milliseconds."""
    start = datetime(year, month, day or 1, tzinfo=UTC)
    end = start + timedelta(days=1) if day else (start + timedelta(days=31)).replace(day=1)
    return round(start.timestamp() * 1000), round(end.timestamp() * 1000)
