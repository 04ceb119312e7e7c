"""Rows as the chain itself would store them: a simulated market, analyzed by the domain, without a database."""

from __future__ import annotations

from functools import cache

import numpy as np

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.factors import deciding
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import DAY_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.domain.verdicts.explanation import explain, weights_of
from regime_pipeline.domain.verdicts.hourly_summary import dashboard_rows
from regime_pipeline.policy import default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.dashboard.factories import START, objects

_REGIMES = {"open_time": "open_time_ms", "state": "state", "confidence": "confidence"}


@cache
def simulated_rows(market: Market, days: int, warm_up_days: int = 0) -> MarketRows:
    """A market's days after `START`, with so many before it known, and the grids and gates of nobody."""
    window, policy = Window(START, START + days * DAY_MS), default_policy()
    source = SimulatedSource(7, lambda: window.end_ms)
    fetched = source.fetch(market, window.start_ms - warm_up_days * DAY_MS, window.end_ms)
    found = analyze(fetched.candles, window.hours, policy, default_null_table())
    factors = explain(found.verdicts, found.scores, found.features, policy)
    verdicts = found.verdicts | {"weights": objects(weights_of(found.verdicts)), "factors": objects(factors)}
    regimes = classify(fetched.candles, policy.candle_regime)
    hours = dashboard_rows(
        window,
        reasons=[deciding(hour).sentence for hour in factors],
        verdicts=verdicts,
        scores=found.scores,
        hours=hour_statuses(market, window, fetched.candles, fetched.covered),
        candles=fetched.candles,
        regimes={name: getattr(regimes, attribute) for name, attribute in _REGIMES.items()},
    )
    bars = fetched.candles[np.searchsorted(fetched.candles.open_time_ms, window.start_ms) :]
    return MarketRows(hours, verdicts, bars)
