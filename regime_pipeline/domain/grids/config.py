"""The configuration of one symbol's grid: its fields, their bounds, and refusals that name every fault at once.

Prices and amounts are `Decimal`: what a person writes and an exchange accepts is a decimal, a multiple of the
exchange's own tick, which need not be the tick of the stored candles. So equality, the multiple-of-tick rule and the
round trip through files are exact. See `versions` for history, `formats` for files and other bots.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.config_rules import (
    RULES,
    Spacing,
    from_ticks,
    in_ticks,
    net_gain,
    no_rule,
    tick_lines,
)
from regime_pipeline.domain.market_data.market import parse_symbol
from regime_pipeline.domain.market_data.window import to_iso, to_ms

Origin = Literal["SET", "RESTART", "OVERRIDE"]
_MAX_DIGITS: Final = 16
_MAX_DECIMALS: Final = 18


class GridConfigError(UsageError):
    """A grid is refused.

    Parameters
    ----------
    faults : sequence of str
        Each with the field, the value and the bound.
    todo : str, optional
        What the user can do about it.
    """

    def __init__(self, faults: Sequence[str], todo: str = "Correct each field named here.") -> None:
        self.faults = tuple(faults)
        super().__init__(f"The grid is refused: {'; '.join(faults)}.", todo)

    def __reduce__(self) -> Any:
        """Pickle by the faults, so that the error crosses process borders whole."""
        return type(self), (self.faults, self.todo)


class StaleGridError(UsageError):
    """An update was made on a version that is no longer the newest; names both."""


def _number(value: Any) -> Any:
    """Read a decimal number; a float means the digits it prints (as pydantic reads it); a bool is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic collects ValueError alone
    return value


def canonical(value: Decimal) -> Decimal:
    """Drop trailing zeros, so that equal numbers are equal texts; refuse what no exchange can hold."""
    if not value:
        return Decimal(0)
    if value.adjusted() >= _MAX_DIGITS or int(value.as_tuple().exponent) < -_MAX_DECIMALS - _MAX_DIGITS:
        raise ValueError(f"must have at most {_MAX_DIGITS} digits before the point and {_MAX_DECIMALS} after it")
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    if len(text.partition(".")[2]) > _MAX_DECIMALS:
        raise ValueError(f"must have at most {_MAX_DECIMALS} digits after the point")
    return Decimal(text)


def _moment(value: Any) -> datetime:
    """Read an aware time, or ISO-8601 with an offset; held in UTC to the millisecond."""
    if not isinstance(value, datetime | str):
        raise ValueError("must be a time with an offset")  # noqa: TRY004 - pydantic collects ValueError alone
    try:
        return datetime.fromtimestamp(to_ms(value) / 1000, UTC)
    except UsageError as error:
        raise ValueError(str(error)) from error


Number = Annotated[Decimal, Field(strict=False, allow_inf_nan=False), BeforeValidator(_number)]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class GridConfig(BaseModel):
    """One version of a symbol's grid; a `GridConfig` that exists is sound.

    Parameters
    ----------
    symbol : str
        `BASE-QUOTE`.
    enabled : bool
        Whether the grid places orders.
    tick : Decimal
        Price step of the exchange, quote currency.
    lower, upper : Decimal
        Edges, multiples of the tick, quote currency.
    levels : int
        Intervals between the edges (so `levels + 1` price lines): each buys at its lower line and sells at its upper.
    spacing : str
        `arithmetic` (equal differences) or `geometric` (equal ratios).
    limit_lower, limit_upper : Decimal or None
        Prices beyond the edges at which the owner wants the inventory closed; None for no such price.
    min_notional, allocation_quote : Decimal
        Smallest order, and the capital of all levels together, quote currency.
    maker_fee_bps, taker_fee_bps : Decimal
        Fees in basis points of the notional.
    version, supersedes : int, int or None
        Number from 1 on, and the version before it (None for the first).
    valid_from : datetime
        Aware, UTC, to the millisecond.
    reason, who : str
        Why and by whom the version was made.
    origin : str
        `SET` by its owner; `RESTART`: the probationary grid that the restart gates permitted; `OVERRIDE`: enabled
        against them, which does not end the stop.

    Raises
    ------
    GridConfigError
        Anything is missing, unknown, of the wrong type or out of bounds; every fault is listed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    symbol: str
    enabled: bool
    tick: Number
    lower: Number
    upper: Number
    levels: int
    spacing: Spacing
    limit_lower: Number | None = None
    limit_upper: Number | None = None
    min_notional: Number
    allocation_quote: Number
    taker_fee_bps: Number
    maker_fee_bps: Number
    version: int
    supersedes: int | None = Field(default=None, validate_default=True)
    valid_from: Moment
    reason: str
    who: str
    origin: Origin = "SET"

    @model_validator(mode="wrap")
    @classmethod
    def _name_every_fault(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Turn all faults into one error."""
        try:
            return handler(values)
        except ValidationError as error:
            raise GridConfigError([_fault(e) for e in error.errors()]) from error

    @field_validator("symbol")
    @classmethod
    def _one_spelling(cls, symbol: str) -> str:
        """Bring the symbol into its one spelling."""
        try:
            return parse_symbol(symbol)
        except UsageError as error:
            raise ValueError(error.what) from error

    @field_validator("*")
    @classmethod
    def _within_bounds(cls, value: Any, info: ValidationInfo) -> Any:
        """Check a field against its bounds and against the sound fields before it."""
        if isinstance(value, Decimal):
            value = canonical(value)
        faults = RULES.get(str(info.field_name), no_rule)(value, info.data)
        if faults:
            raise ValueError("; ".join(faults))
        return value

    @property
    def valid_from_ms(self) -> int:
        """Start of validity, epoch milliseconds UTC."""
        return to_ms(self.valid_from)

    @property
    def line_ticks(self) -> tuple[int, ...]:
        """Price lines in ticks of the exchange, ascending, `levels + 1` of them."""
        return tick_lines(self.edge_ticks[0], self.edge_ticks[1], self.levels, self.spacing)

    @property
    def lines(self) -> tuple[Decimal, ...]:
        """Price lines in quote currency, ascending, `levels + 1` of them."""
        return tuple(from_ticks(line, self.tick) for line in self.line_ticks)

    @property
    def edge_ticks(self) -> tuple[int, int]:
        """Edges in ticks of the exchange."""
        return in_ticks(self.lower, self.tick), in_ticks(self.upper, self.tick)

    @property
    def net_gains_bps(self) -> tuple[float, ...]:
        """Gain of a round trip at each level after two maker fees, basis points, from the lowest level up."""
        lines, fee = self.line_ticks, Fraction(self.maker_fee_bps) / 10_000
        return tuple(float(net_gain(*pair, fee) * 10_000) for pair in pairwise(lines))

    def __str__(self) -> str:
        return f"grid of {self.symbol}, version {self.version} from {to_iso(self.valid_from_ms)}"


def _fault(error: Any) -> str:
    """One fault: field, value, bound."""
    field = ".".join(map(str, error["loc"])) or "grid"
    said = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{field} is missing"
    return f"{field} = {_printed(error['input'])}: {said}"


def _printed(value: Any) -> str:
    """A value as a person wrote it."""
    return format(value, "f") if isinstance(value, Decimal) and value.is_finite() else repr(value)
