"""The chain as a component of somebody's own Dagster project: `type: regime_pipeline.RegimeChain` in a `defs.yaml`.

What it has no field for comes from the environment (see `settings`). See `definitions` for the chain on its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import dagster as dg
from pydantic import Field

from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import DAY_MS
from regime_pipeline.domain.market_data.no_trade import GAP, AbsentBars
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.universe import SourceName, Timeframe, Universe, universe_of
from regime_pipeline.settings import Settings

_SCAFFOLDED_DAYS: Final = 60
_HOME: Final = ".regime"


class ListedMarket(dg.Model):
    """A symbol with its timeframes and where its candles come from, as `[[markets]]` in a markets.toml."""

    symbol: str = Field(description="BASE-QUOTE, for example ETH-USDT.")
    timeframes: list[Timeframe]
    source: SourceName
    exchange: str = Field(default="", description="Its name in ccxt; of the sources exchange and archive.")
    price_scale: int = Field(default=100, description="Ticks per unit of quote currency.")
    until: str | None = Field(default=None, description="When it stopped trading, with its UTC offset.")
    absent_bars: AbsentBars = Field(default=GAP, description="What a bar is that the source confirms to be absent.")


class RegimeChainScaffolder(dg.Scaffolder):
    """Begins a `defs.yaml` that loads: one simulated market."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the file."""
        start = (time.time_ns() // 1_000_000 // DAY_MS - _SCAFFOLDED_DAYS) * DAY_MS
        market = {"symbol": "ALFA-USDT", "timeframes": ["1h"], "source": "simulated"}
        dg.scaffold_component(request, {"markets": [market], "start": to_iso(start), "grain": "hour"})


@dg.scaffold_with(RegimeChainScaffolder)
class RegimeChain(dg.Component, dg.Model, dg.Resolvable):
    """Market regimes: hour by hour and market by market, from candles to verdicts, advice on grids and a dashboard."""

    markets: Annotated[
        list[ListedMarket] | str,
        Field(description="The markets in their fixed order, or the path of a markets.toml, from this folder."),
    ]
    start: str | None = Field(
        default=None, description="First hour of the partitions, with its UTC offset; a markets.toml may say it."
    )
    end: str | None = Field(default=None, description="End of the partitions, exclusive; without end if unset.")
    grain: Literal["hour", "day"] = Field(default="hour", description="Length of a partition.")
    database_url: str | None = Field(
        default=None, description="PostgreSQL 15 or newer; REGIME_DATABASE_URL, or the embedded server, if unset."
    )
    home: str | None = Field(
        default=None, description="Folder of what is written, from the project's root; REGIME_HOME or .regime if unset."
    )
    sensors: bool | None = Field(default=None, description="Sensors run unless turned off; REGIME_SENSORS if unset.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return assets, checks, jobs, sensors and the resource `workspace`; opens no database.

        Raises
        ------
        UsageError
            A field, or a setting in the environment, is not allowed; names it and what is.
        """
        settings = Settings(**self._given(context.path, context.project_root))
        return build_definitions(settings, self._universe(), is_whole_location=False)

    def _given(self, folder: Path, project: Path) -> Mapping[str, Any]:
        """The settings that the fields decide."""
        home = self.home or (None if os.environ.get("REGIME_HOME") else _HOME)
        given: dict[str, Any] = {
            "home": None if home is None else project / home,
            "markets": folder / self.markets if isinstance(self.markets, str) else None,
            "partition_start": self.start,
            "partition_end": self.end,
            "partition": self.grain,
            "database_url": self.database_url,
            "sensors": self.sensors,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _universe(self) -> Universe | None:
        """The listed markets; None where they are in a file."""
        if isinstance(self.markets, str):
            return None
        if self.start is None:
            raise UsageError(
                "A list of markets needs `start`.", "Say it beside `markets`: the first hour, with offset."
            )
        entries = [market.model_dump() for market in self.markets]
        return universe_of(entries, self.start, self.end, "The component's list")
