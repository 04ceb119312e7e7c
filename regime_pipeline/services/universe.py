"""The list of markets, `markets.toml`: read, validated, and appended to; its order never changes.

See `sources` for what a source does with a market.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import lcm
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import tomlkit
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from regime_pipeline._bounded_io import parse_toml, read_document
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market, parse_symbol
from regime_pipeline.domain.market_data.no_trade import GAP, AbsentBars
from regime_pipeline.domain.market_data.window import Window, to_iso, to_ms

SourceName = Literal["simulated", "files", "resampled", "exchange", "archive"]
NETWORK_SOURCES: Final = frozenset({"exchange", "archive"})
"""Sources that need the name of an exchange."""
Timeframe = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "1d"]
DEFAULT_PRICE_SCALE: Final = 100


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """One market with the source of its candles.

    Parameters
    ----------
    market : Market
        Symbol and timeframe.
    source : str
        `simulated`, `files` (imported by `regime import`), `resampled` (from the symbol's 1m series), `exchange` or
        `archive` (bulk files, and the exchange for what they lack).
    price_scale : int
        Ticks per unit of quote currency.
    exchange : str
        ccxt's name of the exchange where the source needs one; empty otherwise.
    until_ms : int, optional
        When the market stopped trading (delisted, renamed), epoch milliseconds UTC; None while it trades.
    simulated_from_ms : int, optional
        Moment of the simulation that the first partition of a simulated market shows, epoch milliseconds UTC, a whole
        hour; by default its own.
    absent_bars : {"gap", "no_trade"}
        What an absent bar means that the source confirms: a gap, or that nobody traded (see `domain.no_trade`).
    """

    market: Market
    source: SourceName
    price_scale: int
    exchange: str = ""
    until_ms: int | None = None
    simulated_from_ms: int | None = None
    absent_bars: AbsentBars = GAP

    @property
    def config_hash(self) -> str:
        """Sixteen hexadecimal digits that change when the market gets its candles another way."""
        moved = "" if self.simulated_from_ms is None else f"|{self.simulated_from_ms}"
        filled = "" if self.absent_bars == GAP else f"|{self.absent_bars}"
        text = f"{self.market}|{self.source}{self.exchange}|{self.price_scale}{moved}{filled}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Universe:
    """The markets in their fixed order and the span of their hour partitions, epoch milliseconds UTC."""

    specs: tuple[MarketSpec, ...]
    start_ms: int
    end_ms: int | None
    _by_market: dict[Market, MarketSpec] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the entries: a list of many markets is looked into for each of them."""
        object.__setattr__(self, "_by_market", {spec.market: spec for spec in self.specs})

    @property
    def markets(self) -> tuple[Market, ...]:
        """Markets in partition order."""
        return tuple(spec.market for spec in self.specs)

    @property
    def symbols(self) -> frozenset[str]:
        """Listed symbols, among which a symbol without a dash is looked for first."""
        return frozenset(spec.market.symbol for spec in self.specs)

    def spec(self, market: Market) -> MarketSpec:
        """Return the entry of a market.

        Raises
        ------
        UsageError
            The market is not listed; names the ones that are.
        """
        found = self._by_market.get(market)
        if found is None:
            listed = ", ".join(map(str, self.markets)) or "none"
            raise UsageError(f"{market} is not in markets.toml (listed: {listed}).", "Add it at the end of the file.")
        return found

    def origin(self, market: Market) -> MarketSpec:
        """Return the entry that a market's candles come from in the end: of a resampled one, that of its minutes.

        Raises
        ------
        UsageError
            As `spec`.
        """
        spec = self.spec(market)
        return self.spec(market.on("1m")) if spec.source == "resampled" else spec

    def within(self, window: Window) -> Window | None:
        """Return the part of a window that has partitions, None where none of it has."""
        start = max(window.start_ms, self.start_ms)
        end = window.end_ms if self.end_ms is None else min(window.end_ms, self.end_ms)
        return Window(start, end) if end > start else None


class _Partitions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    start: AwareDatetime
    end: AwareDatetime | None = None


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    symbol: str
    timeframes: Annotated[list[Timeframe], Field(min_length=1)]
    source: SourceName
    price_scale: Annotated[int, Field(ge=1, le=10**18)] = DEFAULT_PRICE_SCALE
    exchange: Annotated[str, Field(pattern=r"^[a-z0-9]{0,30}$")] = ""
    until: AwareDatetime | None = None
    simulated_from: AwareDatetime | None = None
    absent_bars: AbsentBars = GAP

    @model_validator(mode="after")
    def _names_its_exchange(self) -> Self:
        """An exchange is named exactly where the source is one."""
        if (self.source in NETWORK_SOURCES) != bool(self.exchange):
            raise ValueError("source = 'exchange' or 'archive' and exchange = 'NAME' go together")
        return self

    @model_validator(mode="after")
    def _moves_a_simulation(self) -> Self:
        """Only a simulated market shows another time, and by whole hours."""
        moment = self.simulated_from
        if moment is not None and (self.source != "simulated" or to_ms(moment) % HOUR_MS):
            raise ValueError("simulated_from is a full UTC hour of a market with source = 'simulated'")
        return self

    @model_validator(mode="after")
    def _is_quiet_itself(self) -> Self:
        """Resampled bars have the absent bars of their 1m market."""
        if self.source == "resampled" and self.absent_bars != GAP:
            raise ValueError("absent_bars of a resampled market is that of its 1m market: write it there")
        return self


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    partitions: _Partitions
    markets: list[_Entry] = []


def load_universe(path: Path, start: datetime | None = None, end: datetime | None = None) -> Universe:
    """Read and validate a markets file; `start` and `end` override its span.

    Raises
    ------
    UsageError
        The file is missing, malformed, lists a market twice, resamples a symbol without a 1m series, or its span is
        empty or not of whole hours.
    """
    try:
        parsed = _validated(parse_toml(read_document(path)))
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no markets file at {path}.", "Write one with `regime init`, or set REGIME_MARKETS."
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a markets file: {error}.") from error
    return _universe(str(path), parsed, start, end)


def universe_of(
    markets: Sequence[Mapping[str, Any]],
    start: datetime | str,
    end: datetime | str | None = None,
    place: str = "A list",
) -> Universe:
    """Return the universe of a list that is not in a file.

    Parameters
    ----------
    markets : sequence of mapping
        Entries with the keys of `[[markets]]` in a markets file, in their fixed order.
    start, end : datetime or str
        Span of the partitions, ISO-8601 with an offset, on full UTC hours; `end` exclusive, None for without end.
    place : str
        What errors call the list.

    Raises
    ------
    UsageError
        As `load_universe`.
    """
    try:
        parsed = _validated({"partitions": {"start": start, "end": end}, "markets": list(markets)})
    except ValueError as error:
        raise UsageError(f"{place} is not a list of markets: {error}.") from error
    return _universe(place, parsed, None, None)


def _universe(place: str, parsed: _File, start: datetime | None, end: datetime | None) -> Universe:
    specs = tuple(
        MarketSpec(
            Market(entry.symbol, timeframe),
            entry.source,
            entry.price_scale,
            entry.exchange,
            to_ms(entry.until) if entry.until else None,
            to_ms(entry.simulated_from) if entry.simulated_from else None,
            entry.absent_bars,
        )
        for entry in parsed.markets
        for timeframe in entry.timeframes
    )
    _check_markets(place, specs)
    end = end or parsed.partitions.end
    universe = Universe(specs, to_ms(start or parsed.partitions.start), to_ms(end) if end else None)
    _check_span(place, universe)
    return universe


def _validated(document: Any) -> _File:
    """Return the parsed file; a fault of a market names its symbol, not its number."""
    try:
        return _File.model_validate(document)
    except ValidationError as error:
        raise ValueError("; ".join(_fault(document, e["loc"], e["msg"]) for e in error.errors())) from error


def _fault(document: Any, place: tuple[int | str, ...], message: str) -> str:
    names = [str(part) for part in place]
    if len(place) > 1 and place[0] == "markets" and isinstance(place[1], int):
        entry = document["markets"][place[1]]
        symbol = entry.get("symbol") if isinstance(entry, dict) else None
        names = [f"market {symbol or f'number {place[1] + 1}'}", *names[2:]]
    return f"{', '.join(names)}: {message}"


def _check_markets(place: str, specs: Sequence[MarketSpec]) -> None:
    """Refuse doubles, and resampled markets without their 1m series."""
    markets = [spec.market for spec in specs]
    doubles = sorted({str(m) for m in markets if markets.count(m) > 1})
    if doubles:
        raise UsageError(f"{place} lists {', '.join(doubles)} more than once.", "Remove the later entry.")
    orphans = [str(s.market) for s in specs if s.source == "resampled" and s.market.on("1m") not in markets]
    if orphans:
        raise UsageError(f"{place}: {', '.join(orphans)} cannot be resampled.", "List the symbol's 1m market first.")


def _check_span(place: str, universe: Universe) -> None:
    """Refuse a span that is empty or cut inside an hour."""
    ends = [universe.start_ms] if universe.end_ms is None else [universe.start_ms, universe.end_ms]
    if any(moment % HOUR_MS for moment in ends):
        raise UsageError(f"{place}: partitions must start and end on a full UTC hour.")
    if universe.end_ms is not None and universe.end_ms <= universe.start_ms:
        raise UsageError(f"{place}: the partitions end {to_iso(universe.end_ms)}, not after their start.")


def ensure_market(path: Path, spec: MarketSpec, span_ms: tuple[int, int]) -> bool:
    """Append the market to the file unless it is there; create the file, spanning the candles, if there is none.

    Where the market is listed with coarser ticks, the price scale of its symbol's entries is refined to hold the new
    ones too.

    Parameters
    ----------
    path : Path
        The markets file.
    spec : MarketSpec
        What to add.
    span_ms : tuple of int
        First open and last close of the candles, epoch milliseconds; the span of a new file.

    Returns
    -------
    bool
        True if the file changed.

    Raises
    ------
    UsageError
        The market is listed with another source, or the file is written in a form that cannot be added to.
    """
    listed = {s.market: s for s in load_universe(path).specs} if path.exists() else {}
    if spec.market in listed:
        _check_listed(path, listed[spec.market], spec)
        return _refine(path, edit_document(path), spec)
    append_market(path, spec, span_ms)
    return True


def append_market(path: Path, spec: MarketSpec, span_ms: tuple[int, int | None]) -> None:
    """Append a market that is not listed to the file; create the file, with this span, if there is none."""
    document = edit_document(path) if path.exists() else _new_document(span_ms)
    if not document.get("markets"):
        document.pop("markets", None)  # `markets = []` holds no tables
    document.setdefault("markets", tomlkit.aot()).append(_entry(spec))
    save_document(path, document)


def check_source(path: Path, universe: Universe, spec: MarketSpec) -> None:
    """Refuse a market that is listed with another source; one that is not listed is fine."""
    listed = next((each for each in universe.specs if each.market == spec.market), spec)
    _check_listed(path, listed, spec)


def _check_listed(path: Path, listed: MarketSpec, spec: MarketSpec) -> None:
    if listed.source != spec.source:
        raise UsageError(
            f"{spec.market} is listed in {path} with source '{listed.source}', not '{spec.source}'.",
            "Use another project home (REGIME_HOME), or another symbol.",
        )


def edit_document(path: Path) -> tomlkit.TOMLDocument:
    """Return a sound file's document with its comments; raises `UsageError` for what tomlkit does not read."""
    try:
        return tomlkit.parse(read_document(path))
    except (ValueError, RecursionError, tomlkit.exceptions.TOMLKitError) as error:
        raise UsageError(
            f"{path} cannot be edited: {error}.", "Write it in a simpler form, or edit it by hand."
        ) from error


def _refine(path: Path, document: tomlkit.TOMLDocument, spec: MarketSpec) -> bool:
    """Give every entry of the symbol the coarsest price scale that holds its own ticks and the new ones."""
    entries = [entry for entry in document["markets"] if parse_symbol(entry["symbol"]) == spec.market.symbol]
    scales = [lcm(entry.get("price_scale", DEFAULT_PRICE_SCALE), spec.price_scale) for entry in entries]
    is_changed = scales != [entry.get("price_scale", DEFAULT_PRICE_SCALE) for entry in entries]
    for entry, scale in zip(entries, scales, strict=True):
        entry["price_scale"] = scale
    if is_changed:
        save_document(path, document)
    return is_changed


def save_document(path: Path, document: tomlkit.TOMLDocument) -> None:
    """Replace the file at once, by a text that can be read again; raises `UsageError` where it could not be."""
    text = tomlkit.dumps(document)
    try:
        _validated(parse_toml(text))
    except ValueError as error:
        todo = "Write each market as a table [[markets]], or edit it by hand."
        raise UsageError(f"{path} cannot be edited: {error}.", todo) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".toml.tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)


def _entry(spec: MarketSpec) -> tomlkit.items.Table:
    table = tomlkit.table()
    table.update(
        {
            "symbol": spec.market.symbol,
            "timeframes": [spec.market.timeframe],
            "source": spec.source,
            "price_scale": spec.price_scale,
        }
    )
    if spec.exchange:
        table["exchange"] = spec.exchange
    if spec.absent_bars != GAP:
        table["absent_bars"] = spec.absent_bars
    return table


def _new_document(span_ms: tuple[int, int | None]) -> tomlkit.TOMLDocument:
    start = span_ms[0] // HOUR_MS * HOUR_MS
    end = "" if span_ms[1] is None else f"end = {to_iso(-(-span_ms[1] // HOUR_MS) * HOUR_MS)}\n"
    return tomlkit.parse(f"[partitions]\nstart = {to_iso(start)}\n{end}")
