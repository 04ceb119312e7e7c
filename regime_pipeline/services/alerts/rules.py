"""The alerts file: channels, rules by market and event, quiet hours; read and validated.

See `events` for the events, `delivery` for the channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from regime_pipeline._bounded_io import parse_toml, read_document
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market

Event = Literal["verdict", "stop", "permit", "outside", "stale", "failed_run"]
EVENTS: Final[tuple[Event, ...]] = ("verdict", "stop", "permit", "outside", "stale", "failed_run")
_CORRECT: Final = "Correct the alerts file; docs/operate.md has one."
_Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Channel(_Section):
    """Where alerts go: an http(s) webhook that gets signed JSON, or an address that apprise knows."""

    name: str = Field(min_length=1)
    webhook: str = Field("", repr=False, pattern=r"^(https?://.+)?$")
    apprise: str = Field("", repr=False)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if bool(self.webhook) == bool(self.apprise):
            raise ValueError("give either webhook or apprise")
        return self


class Rule(_Section):
    """Which events of which markets are sent on which channels."""

    markets: tuple[str, ...] = ("*",)
    events: tuple[Event, ...] = Field(EVENTS, min_length=1)
    channels: tuple[str, ...] = Field(min_length=1)
    stale_minutes: int = Field(120, ge=1, le=100_000)

    def is_about(self, market: Market) -> bool:
        """Say whether the rule covers a market."""
        return any(fnmatchcase(market.key, pattern) for pattern in self.markets)


class Quiet(_Section):
    """Hours of the day in which alerts wait, but for the urgent ones."""

    start: _Clock
    end: _Clock
    timezone: str = "UTC"
    urgent: tuple[Event, ...] = ("stop", "failed_run")

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"'{name}' is not a time zone, such as Europe/Berlin") from error
        return name

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if self.start == self.end:
            raise ValueError("start and end are the same")
        return self

    def holds(self, event: str, now_ms: int) -> bool:
        """Say whether an alert of this event waits at a moment, epoch milliseconds UTC."""
        local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(self.timezone)).time()
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        is_quiet = start <= local < end if start < end else local >= start or local < end
        return is_quiet and event not in self.urgent


class AlertRules(_Section):
    """The whole file."""

    channels: tuple[Channel, ...] = ()
    rules: tuple[Rule, ...] = ()
    quiet: Quiet | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        names = [channel.name for channel in self.channels]
        twice = sorted({name for name in names if names.count(name) > 1})
        unknown = sorted({name for rule in self.rules for name in rule.channels} - set(names))
        if twice:
            raise ValueError(f"two channels have the name '{twice[0]}'")
        if unknown:
            raise ValueError(f"a rule names the channel '{unknown[0]}', which is none of {names}")
        return self

    def channel(self, name: str) -> Channel:
        """Return a channel by its name."""
        return next(channel for channel in self.channels if channel.name == name)


def load_rules(path: Path, markets: Sequence[Market]) -> AlertRules:
    """Read the alerts file; one that is not there has no rules.

    Parameters
    ----------
    path : Path
        TOML.
    markets : sequence of Market
        The listed ones: each pattern of a rule must match one.

    Raises
    ------
    UsageError
        The file cannot be read, or is wrong; names every fault.
    """
    if not path.exists():
        return AlertRules()
    try:
        rules = AlertRules.model_validate(parse_toml(read_document(path)))
    except ValidationError as error:
        raise UsageError(f"{path}: {' '.join(map(_fault, error.errors()))}", _CORRECT) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", _CORRECT) from error
    for rule in rules.rules:
        for pattern in rule.markets:
            if not any(fnmatchcase(market.key, pattern) for market in markets):
                listed = ", ".join(market.key for market in markets[:5])
                raise UsageError(
                    f"{path}: a rule's market '{pattern}' matches none of markets.toml.",
                    f"Write one as it is listed ({listed}), or with * as in BTC-USDT_*.",
                )
    return rules


def _fault(fault: Mapping[str, Any]) -> str:
    """One finding as a sentence, entries counted from one; never the value, which may be a channel's secret."""
    where = " ".join(f"{part + 1}" if isinstance(part, int) else str(part) for part in fault["loc"])
    said = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where or 'the file'}: {said[:1].lower()}{said[1:]}."
