"""Where candles come from, as external assets: the lineage begins with them, and nothing here materializes them.

See `sources` for how each is asked, `services.universe` for which market has which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import dagster as dg

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.services.universe import SourceName, Universe

PREFIX: Final = "candle_source"
_WHAT: Final[Mapping[SourceName, str]] = {
    "simulated": "Candles of the market simulator, the same for the same seed.",
    "files": "Candles of files, brought in by `regime import`.",
    "exchange": "Candles that the exchange's public interface gives.",
    "archive": "Candles of the exchange's bulk files, and of the exchange itself for what they lack.",
}


def build_candle_sources(universe: Universe) -> list[dg.AssetSpec]:
    """Return one external asset for each source that a market has, with the markets in its metadata."""
    found: dict[tuple[SourceName, str], list[Market]] = {}
    for spec in universe.specs:
        origin = universe.origin(spec.market)
        found.setdefault((origin.source, origin.exchange), []).append(spec.market)
    return [
        dg.AssetSpec(
            dg.AssetKey([PREFIX, f"{source}_{exchange}" if exchange else source]),
            description=_WHAT[source],
            group_name="ingest",
            kinds={exchange or source},
            metadata={"markets": ", ".join(market.key for market in markets)},
        )
        for (source, exchange), markets in sorted(found.items())
    ]
