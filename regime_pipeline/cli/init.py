"""`regime init`: a list of markets to begin with.

See `services.market_list` for what it says.
"""

from __future__ import annotations

import time

from regime_pipeline.cli.console import out
from regime_pipeline.domain.market_data.market import DAY_MS
from regime_pipeline.services.market_list import write_starter
from regime_pipeline.settings import Settings

_DAYS = 60
"""Of history: a month and some until a market's scores have all that they look back to, then a month to look at."""


def init_command() -> None:
    """Write a markets.toml to begin with: one simulated market, and how to list others.

    It is never overwritten.

    Example: regime init
    """
    settings = Settings()
    write_starter(settings.markets, (time.time_ns() // 1_000_000 // DAY_MS - _DAYS) * DAY_MS)
    lines = [
        f"{settings.markets} lists one simulated market; its comments say how to list your own.",
        "Next: regime backfill   every hour of it, then regime status",
        "      regime up         the same in Dagster's UI, with dashboard and API",
    ]
    out.print("\n".join(lines), highlight=False, soft_wrap=True)
