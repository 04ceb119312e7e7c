"""The newest state of every market in one statement: candle, verdict, since when it holds, advice.

See `services.queries.overview` for what faces make of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage.bulk.statements import epoch_ms
from regime_pipeline.storage.pool import Cursor

_CANDLE: Final = ("open_time", "close")
_SINCE: Final = ("verdict_before", "first_verdict", "status_before", "first_advice")
_VERDICT: Final = (
    *("hour_start", "as_of_bar", "verdict", "confidence", "direction", "dominant_risk", "range_low", "range_high"),
    *("hold_24h", "hold_72h", "policy_hash"),
)
_ADVICE: Final = (
    *("hour_start", "status", "action", "is_actionable", "config_version", "edge_distance_atr", "hold_24h", "hold_72h"),
    *("stopped_at", "gate_state", "gate_bars", "permit_bars", "advice_hash"),
)
_READ: Final = """
SELECT s.symbol, s.timeframe, c.open_time, c.close,
  other_v.hour_start, first_v.hour_start, other_a.hour_start, first_a.hour_start,
  v.hour_start, v.as_of_bar, v.verdict, v.confidence, v.direction, v.dominant_risk, v.range_low, v.range_high,
  v.hold_24h, v.hold_72h, v.policy_hash,
  a.hour_start, a.status, a.action, a.is_actionable, a.config_version, a.edge_distance_atr, a.hold_24h, a.hold_72h,
  a.stopped_at, a.gate_state, a.gate_bars, a.permit_bars, a.advice_hash
FROM series s
LEFT JOIN LATERAL (SELECT * FROM candles t WHERE t.series_id = s.series_id
  ORDER BY open_time DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT * FROM regime_verdicts t WHERE t.series_id = s.series_id
  ORDER BY hour_start DESC LIMIT 1) v ON true
LEFT JOIN LATERAL (SELECT hour_start FROM regime_verdicts t WHERE t.series_id = s.series_id AND t.verdict <> v.verdict
  ORDER BY hour_start DESC LIMIT 1) other_v ON true
LEFT JOIN LATERAL (SELECT hour_start FROM regime_verdicts t WHERE t.series_id = s.series_id
  ORDER BY hour_start LIMIT 1) first_v ON true
LEFT JOIN LATERAL (SELECT * FROM grid_advice t WHERE t.series_id = s.series_id
  ORDER BY hour_start DESC LIMIT 1) a ON true
LEFT JOIN LATERAL (SELECT hour_start FROM grid_advice t WHERE t.series_id = s.series_id AND t.status <> a.status
  ORDER BY hour_start DESC LIMIT 1) other_a ON true
LEFT JOIN LATERAL (SELECT hour_start FROM grid_advice t WHERE t.series_id = s.series_id
  ORDER BY hour_start LIMIT 1) first_a ON true
ORDER BY s.series_id
"""
_TIMES: Final = frozenset({"open_time", "hour_start", "as_of_bar", "stopped_at", *_SINCE})


@dataclass(frozen=True, eq=False)
class NewestRow:
    """What is newest of one market; every part is empty where nothing is stored.

    Parameters
    ----------
    market : Market
        Whose.
    candle, verdict, advice : dict
        Columns of the newest row of `candles`, `regime_verdicts` and `grid_advice`; times in epoch milliseconds UTC,
        labels by name.
    since : dict
        Start of the newest hour with another verdict (`verdict_before`) or another status of advice
        (`status_before`), and of the first hour of each; epoch milliseconds UTC or None.
    """

    market: Market
    candle: dict[str, Any]
    verdict: dict[str, Any]
    advice: dict[str, Any]
    since: dict[str, int | None]


def read_newest(cursor: Cursor) -> list[NewestRow]:
    """Read the newest rows of every market, in the order of first use."""
    return [_row(values) for values in cursor.execute(_READ).fetchall()]


def _row(values: Any) -> NewestRow:
    symbol, timeframe, *rest = values
    parts = []
    for names in (_CANDLE, _SINCE, _VERDICT, _ADVICE):
        given, rest = rest[: len(names)], rest[len(names) :]
        parts.append({name: _plain(name, value) for name, value in zip(names, given, strict=True)})
    candle, since, verdict, advice = parts
    return NewestRow(Market(symbol, timeframe), _unless(candle, "open_time"), _unless(verdict), _unless(advice), since)


def _plain(name: str, value: Any) -> Any:
    return epoch_ms(value) if name in _TIMES and value is not None else value


def _unless(part: dict[str, Any], key: str = "hour_start") -> dict[str, Any]:
    """The part, empty where it was not found."""
    return {} if part[key] is None else part
