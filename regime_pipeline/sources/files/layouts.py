"""What is known about layouts, in one table: names of columns, orders of rows without names, and the user's options.

See `columns` for choosing the columns of one file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from regime_pipeline.domain.errors import UsageError

Layout = Literal["auto", "kucoin", "lean"]
LAYOUTS: Final[tuple[str, ...]] = get_args(Layout)
FIELDS: Final = ("time", "open", "high", "low", "close", "volume")
PRICES: Final = FIELDS[1:5]
KUCOIN: Final = ("time", "open", "close", "high", "low", "volume", "turnover")
KRAKEN: Final = ("time", "open", "high", "low", "close", "vwap", "volume", "count")
TURNOVER: Final = (*FIELDS, "turnover")
OKX: Final = (*FIELDS, "vol_ccy", "vol_ccy_quote", "confirm")
BINANCE: Final = (
    *FIELDS,
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
COINBASE: Final = ("time", "low", "high", "open", "close", "volume")
GATE: Final = ("time", "quote_volume", "close", "high", "low", "open", "volume", "is_closed")
ORDERS: Final = (KUCOIN[:6], KUCOIN, KRAKEN, COINBASE, GATE, BINANCE)
"""Orders of rows without names; one is proposed where it fits every row and the plain order does not."""

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "time": (
        *(
            "open_time",
            "time_open",
            "candle_date_time_utc",
            "candle_begin_time",
            "kline_open_time",
            "window_start",
            "interval_start",
        ),
        *("unix", "unix_timestamp", "timestamp", "time", "datetime", "date_time", "date", "ts", "stamp", "t", "ticks"),
        *("start", "start_time", "started_at", "mts", "begin", "begins_at", "period_start", "bucket", "open_timestamp"),
        *("gmt_time", "zeit", "datum", "fecha", "hora", "heure", "data", "ora"),
    ),
    "open": (
        *("open", "o", "open_price", "opening_price", "eroffnung", "eroffn", "apertura", "ouverture", "ouv"),
        *("abertura", "aber"),
    ),
    "high": (
        *("high", "h", "high_price", "highest_price", "max", "hoch", "tageshoch", "maximo", "maxima", "massimo"),
        *("haut", "plus_haut"),
    ),
    "low": (
        *("low", "l", "low_price", "lowest_price", "min", "tief", "tagestief", "minimo", "minima"),
        *("bas", "plus_bas"),
    ),
    "close": (
        *("close", "c", "close_price", "closing_price", "last", "price", "schluss", "schlusskurs", "zuletzt"),
        *("cierre", "cloture", "dernier", "ultimo", "chiusura", "fechamento", "trade_price"),
    ),
    "volume": (
        *("base_volume", "volume_base", "base_asset_volume", "base_token_volume", "home_notional", "volume_from"),
        *("volumefrom", "candle_acc_trade_volume", "volume", "vol", "v", "volumen"),
    ),
}
"""Names of the six fields, lower case with underscores; of several that a file has, the first one counts."""
ZONED: Final = re.compile(r"(?:.*_)?(?:utc|gmt)(?:_.*)?")
"""Names of time columns that say that the times are UTC."""
CLOSE_STAMPS: Final = frozenset({"close_time", "close_timestamp", "end_time", "period_end"})
BITMEX: Final = frozenset({"home_notional", "foreign_notional", "last_size"})
HTX: Final = frozenset({"id", "amount", "vol", "count"})
QUOTE_VOLUMES: Final = ("quote_volume", "quote_asset_volume", "quotevolume", "turnover", "amount", "vol_ccy")
TICK_VOLUMES: Final = ("tickvol", "tick_volume", "ticks_volume")
SYMBOL_NAMES: Final = frozenset({"symbol", "ticker", "pair", "instrument", "inst_id", "market", "tic", "product_id"})
CLOSED_FLAGS: Final = frozenset({"confirm", "is_closed", "is_final", "closed", "complete"})
TIMEFRAME_NAMES: Final = frozenset(
    {"interval", "timeframe", "time_frame", "resolution", "granularity", "per", "period"}
)
CAPITALS: Final[Mapping[str, str]] = {"T": "close_time", "V": "taker_buy_volume", "Q": "taker_buy_quote_volume"}
"""What a capital means beside the same letter in lower case, in streams of exchanges (`t`, `T`, `v`, `V`)."""
LETTERS: Final[Mapping[str, str]] = {"s": "symbol", "i": "interval", "x": "is_closed", "q": "quote_volume"}
"""What other single letters mean beside o, h, l and c."""
UNNAMED: Final = frozenset({"", "index", "unnamed_0", "index_level_0", "level_0"})
_NUMBERED: Final = re.compile(r"\d+[a-z]?\. ")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How the user wants files to be read.

    Parameters
    ----------
    layout : {"auto", "kucoin", "lean"}
        `auto` goes by header, name and form; `kucoin` is time, open, close, high, low, volume; `lean` counts times from
        midnight UTC of the day in the file's name.
    columns : tuple of str
        Names of a file's columns in order, `time open high low close volume` and anything else; empty for none.
    timezone : str
        `UTC` to accept times without an offset; empty to refuse them.
    price_scale : int
        Ticks per unit of quote currency; 0 to infer it.
    is_dropping_unaligned : bool
        Leave out bars that do not open on a multiple of the timeframe (after an outage some exchanges shift a few)
        instead of refusing the file; they are counted.
    decimal : str
        `,` where numbers are written 42.000,50; `.` where they are written 42,000.50; empty to go by the numbers.
    volume : str
        Name of the column that holds the base volume, or `none` for files without volume (it is stored as 0).
    stamps : str
        `close` where the file stamps each bar with its close; `open`, or empty, where it is the open.
    dates : str
        `dmy` or `mdy`, the order of day and month where the dates do not tell.

    Raises
    ------
    UsageError
        An option is unknown or incomplete.
    """

    layout: str = "auto"
    columns: tuple[str, ...] = ()
    timezone: str = ""
    price_scale: int = 0
    is_dropping_unaligned: bool = False
    decimal: str = ""
    volume: str = ""
    stamps: str = ""
    dates: str = ""

    def __post_init__(self) -> None:
        """Refuse options that cannot be meant."""
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                known = ", ".join(filter(None, allowed))
                raise UsageError(f"'{getattr(self, name)}' is not a value of --{name}.", f"Use one of {known}.")
        if self.timezone not in ("", "UTC"):
            raise UsageError(
                f"Times without an offset cannot be read as '{self.timezone}'.",
                "Only UTC is unambiguous all year; convert the times first, then say --timezone UTC.",
            )
        needed = FIELDS[:5] if self.volume else FIELDS
        if self.columns and (absent := [field for field in needed if self.columns.count(field) != 1]):
            raise UsageError(
                f"--columns must name {', '.join(absent)} once.", f"Name {', '.join(FIELDS)}, in file order."
            )
        if self.price_scale < 0:
            raise UsageError(
                f"A price scale of {self.price_scale} is not possible.", "Give the ticks per unit, such as 100."
            )


_CHOICES: Final = {
    "layout": LAYOUTS,
    "decimal": ("", ".", ","),
    "stamps": ("", "open", "close"),
    "dates": ("", "dmy", "mdy"),
}


def normalize(name: object) -> str:
    """Return a column name in lower case with underscores: `quoteVolume`, `<OPEN>` and `1. open` become plain words."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", _NUMBERED.sub("", str(name), count=1)).strip().lower()
    text = "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark))
    return re.sub(r"[\W_]+", "_", text).strip("_")


def field_of(name: str) -> str:
    """Return the field that a normalized name stands for, empty for none."""
    return next((field for field, names in NAMES.items() if name in names), "")


def is_header(cells: Sequence[object]) -> bool:
    """Return whether a row names columns: three of the four prices, or `open`."""
    fields = {field_of(normalize(cell)) for cell in cells}
    return "open" in fields or len(fields & set(PRICES)) >= len(PRICES) - 1
