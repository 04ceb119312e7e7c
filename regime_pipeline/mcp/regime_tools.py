"""Tools on candle regimes: periods, transitions, confidence, and what prices did after each regime.

See `services.queries.candle_regimes` for the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.mcp.arguments import ByRegimeQuery, PeriodsQuery, SeriesQuery, TransitionsQuery, known_regime
from regime_pipeline.mcp.markets import stored_market
from regime_pipeline.mcp.responses import page, single
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries import candle_regimes as regimes
from regime_pipeline.services.queries.candle_regimes import RegimeSeries

_STATS: Final = ("candles", "share", "mean_confidence", "periods", "mean_hours", "longest_hours")


def find_periods(ws: Workspace, query: PeriodsQuery) -> dict[str, Any]:
    """Answer `find_periods`."""
    regime, series = known_regime(query.regime), _series(ws, query)
    found = regimes.regime_periods(series, regime)
    keys = [to_iso(start) for start in found.start_ms.tolist()]

    def rows(first: int, last: int) -> Sequence[dict[str, Any]]:
        columns = (found.end_ms, found.regime, found.candles, found.mean_confidence)
        return [
            {
                "start": start,
                "end": to_iso(end),
                "regime": SIMPLIFIED[code],
                "candles": candles,
                "hours": candles * series.market.step_ms / HOUR_MS,
                "mean_confidence": confidence,
            }
            for start, end, code, candles, confidence in zip(
                keys[first:last], *(column[first:last].tolist() for column in columns), strict=True
            )
        ]

    asked = ("find_periods", *_asked(series, query), regime)
    return page(asked, keys, rows, limit=query.limit, cursor=query.cursor, context=_head(ws, series))


def transition_stats(ws: Workspace, query: TransitionsQuery) -> dict[str, Any]:
    """Answer `transition_stats`."""
    before, after = known_regime(query.from_regime), known_regime(query.to_regime)
    series = _series(ws, query)
    events = regimes.transition_events(series, before, after)
    counts = [
        row
        for row in regimes.transition_shares(series)["transitions"]
        if before in ("", row["from"]) and after in ("", row["to"])
    ]
    return page(
        ("transition_stats", *_asked(series, query), before, after),
        [event["time"] for event in events],
        lambda first, last: events[first:last],
        limit=query.limit,
        cursor=query.cursor,
        context={**_head(ws, series), "counts": counts},
    )


def confidence_stats(ws: Workspace, query: ByRegimeQuery) -> dict[str, Any]:
    """Answer `confidence_stats`."""
    regime, series = known_regime(query.regime), _series(ws, query)
    found = regimes.confidence_stats(series)
    chosen = {name: row for name, row in found["regimes"].items() if regime in ("", name)}
    return single({**_head(ws, series), "all": found["all"], "regimes": chosen})


def regime_performance(ws: Workspace, query: ByRegimeQuery) -> dict[str, Any]:
    """Answer `regime_performance`."""
    regime, series = known_regime(query.regime), _series(ws, query)
    stats = regimes.regime_stats(series)["regimes"]
    returns = regimes.regime_performance(ws, series)["regimes"]
    rows = {
        name: {**{field: row[field] for field in _STATS}, "bar_after": returns.get(name)}
        for name, row in stats.items()
        if regime in ("", name)
    }
    return single({**_head(ws, series), "regimes": rows})


def _series(ws: Workspace, query: SeriesQuery) -> RegimeSeries:
    """The candles that are asked for, with their regimes."""
    span = query.span_ms
    return regimes.regime_series(ws, stored_market(ws, query.symbol, query.timeframe), *span)


def _asked(series: RegimeSeries, query: SeriesQuery) -> tuple[object, ...]:
    return series.market.key, *query.span_ms


def _head(ws: Workspace, series: RegimeSeries) -> dict[str, Any]:
    """What every answer on a series begins with; an empty span says what is stored."""
    market, times = series.market, series.regimes.open_time_ms
    head = {"symbol": market.symbol, "timeframe": market.timeframe, "candles": len(times)}
    if len(times):
        span = {"start": to_iso(int(times[0])), "end": to_iso(int(times[-1]) + market.step_ms)}
        return {**head, **span, "source": series.source}
    first, last = ws.warehouse.oldest(market), ws.warehouse.latest(market)
    stored = "nothing"
    if first is not None and last is not None:
        stored = f"{to_iso(first)} to {to_iso(last + market.step_ms)}"
    return {**head, "start": None, "end": None, "note": f"No candle opens in this span; stored is {stored}."}
