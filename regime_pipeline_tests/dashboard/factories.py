"""Made-up rows of a market for the dashboard's tests: every verdict, every kind of hole, advice, grids and a stop."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.dashboard.data.latest_hour import is_lagging
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.site.parts import Part, mark_of, market_part, overview_part
from regime_pipeline.dashboard.site.writer import SiteReport, prepare_folder, write_site
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.columnar import DTYPES, Rows
from regime_pipeline.domain.factors import DECIDED, NOT_MET, Factor
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.schema import ACTIONS, GATE_STATES, GRID_ADVICE
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.domain.schema import DASHBOARD_HOURS, VERDICTS

ALFA, QUARTERS, BRAVO, CHARLIE = (
    Market("ALFA-USDT", "1h"),
    Market("ALFA-USDT", "15m"),
    Market("BRAVO-USDT", "1h"),
    Market("CHARLIE-USDT", "4h"),
)
EMPTY = Market("DELTA-USDT", "1h")
"""A market that has no rows yet."""
ABSENT, BARLESS = (150, 151, 152), (200, 201)
"""Hours of ALFA-USDT_1h without a row, and with one but without bars."""
START = to_ms("2026-09-01T00:00:00Z")
SCALE = 100


def site_rows() -> list[MarketRows]:
    """A market with grids, a stop, gates and holes; the same symbol in quarters; one that lags; one above the hour."""
    return [
        make_rows(240, ALFA, absent=ABSENT, without_bars=BARLESS, young=12, has_advice=True),
        make_rows(240, QUARTERS, seed=2, end_verdict="RANGE_OK"),
        make_rows(230, BRAVO, seed=3, end_verdict="TREND"),
        make_rows(240, CHARLIE, seed=4, end_verdict="RANGE_WEAK"),
    ]


def parts_of(markets: Sequence[MarketRows], empty: Sequence[Market] = (EMPTY,)) -> list[Part]:
    """The parts of a site of these rows."""
    known, through_ms = [rows.market for rows in markets], max((rows.through_ms for rows in markets), default=0)
    parts = []
    for rows in markets:
        siblings = [other for other in known if other.symbol == rows.market.symbol]
        mark = mark_of(siblings, is_lagging(rows.through_ms, through_ms), _content(rows))
        parts.append(market_part(mark, rows.market, siblings, through_ms, partial(_given, rows)))
    return [*parts, overview_part(mark_of(*(part.mark for part in parts)), lambda: (markets, empty))]


def write(markets: Sequence[MarketRows], folder: Path) -> SiteReport:
    """Write a site of these rows."""
    prepare_folder(folder)
    return write_site(parts_of(markets), folder)


def _given(rows: MarketRows) -> MarketRows:
    return rows


def _content(rows: MarketRows) -> tuple[str, ...]:
    return tuple(column.tobytes().hex() for column in rows.hours.values() if column.dtype != object)


def make_rows(
    hours: int = 96,
    market: Market | None = None,
    *,
    absent: Collection[int] = (),
    without_bars: Collection[int] = (),
    young: int = 0,
    seed: int = 1,
    end_verdict: str = "",
    has_advice: bool = False,
) -> MarketRows:
    """Rows of a market.

    Parameters
    ----------
    hours : int
        Hours from `START` on.
    market : Market, optional
        ALFA-USDT_1h by default.
    absent : collection of int
        Hours without a row (and without bars).
    without_bars : collection of int
        Hours that have a row but no bars: their candles are missing.
    young : int
        So many first hours say INSUFFICIENT_DATA.
    seed : int
        Of every number.
    end_verdict : str
        Verdict of the newest hour, one by chance where empty.
    has_advice : bool
        With a grid of two versions, a stop in the middle, advice and gates.
    """
    market = market or Market("ALFA-USDT", "1h")
    rng = np.random.default_rng(seed)
    bars = _bars(market, hours, rng, {*absent, *without_bars})
    rows = _hours(hours, rng, bars, young)
    if end_verdict:
        rows["verdict"][-1] = VERDICTS.index(end_verdict)
    rows["hour_status"][list(without_bars)] = 2
    rows["close"][list(without_bars)] = np.nan
    keep = np.setdiff1d(np.arange(hours), list(absent))
    documents = [_documents({name: column[hour] for name, column in rows.items()}) for hour in keep.tolist()]
    kept = {name: column[keep] for name, column in rows.items()}
    verdicts: Rows = {"hour_start": kept["hour_start"]}
    verdicts |= {name: objects([found[name] for found in documents]) for name in ("weights", "factors")}
    if not has_advice:
        return MarketRows(kept, verdicts, bars)
    stop_ms = START + hours // 2 * HOUR_MS
    stops = [StopEvent(market.symbol, stop_ms, "MANUAL", "ann", "news <b>& more</b>")]
    return MarketRows(kept, verdicts, bars, _advice(kept["hour_start"], stop_ms), _grids(market, stop_ms), stops)


def with_grid(rows: MarketRows) -> MarketRows:
    """The same rows with a busy grid: two versions, advice that changes with every verdict, gates after four stops."""
    hour_start, verdict = rows.hours["hour_start"], rows.hours["verdict"]
    middle_ms = int(hour_start[len(hour_start) // 2])
    advice = _advice(hour_start, middle_ms)
    advice["action"] = (verdict % len(ACTIONS)).astype(np.int8)
    said = [f"The grid is enabled and the verdict is {VERDICTS[code]} of hour {at}." for at, code in enumerate(verdict)]
    advice["reasons"] = objects([[Factor("ACTION", {}, None, None, DECIDED, text)] for text in said])
    since_stop = np.arange(len(hour_start)) % (len(hour_start) // 4)
    advice["gate_state"] = np.minimum(since_stop // 25, len(GATE_STATES) - 1).astype(np.int8)
    advice["gate_held"] = (since_stop % 13).astype(advice["gate_held"].dtype)
    return replace(rows, advice=advice, grids=_grids(rows.market, middle_ms))


def objects(values: list[Any]) -> Any:
    """Values as an object column, lists included."""
    column = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        column[place] = value
    return column


def _bars(market: Market, hours: int, rng: np.random.Generator, lacking: Collection[int]) -> Candles:
    step = market.step_ms
    open_time = np.arange(START // step * step, START + hours * HOUR_MS - step + 1, step, dtype=np.int64)
    close = _folded(10_000 + np.cumsum(rng.integers(-30, 31, len(open_time))))
    hour = (open_time + step - 1 - START) // HOUR_MS
    keep = ~np.isin(hour, list(lacking))
    opens, closes = open_time[keep], close[keep]
    return Candles(market, SCALE, opens, closes, closes + 9, closes - 9, closes, np.ones(len(closes)))


def _folded(walk: NDArray[np.int64], low: int = 4_000, high: int = 20_000) -> NDArray[np.int64]:
    """A walk thrown back at two walls, so that a year of it stays a price."""
    return low + np.abs((walk - low + high - low) % (2 * (high - low)) - (high - low))


def _hours(hours: int, rng: np.random.Generator, bars: Candles, young: int) -> Rows:
    rows: Rows = {column.name: np.zeros(hours, DTYPES[column.kind]) for column in DASHBOARD_HOURS}
    rows["hour_start"] = START + np.arange(hours) * HOUR_MS
    rows["verdict"] = np.repeat(rng.integers(1, len(VERDICTS), -(-hours // 6)), 6)[:hours].astype(np.int8)
    for name in ("trend_score", "mean_rev_score", "vol_change_score", "range_quality_score", "grid_capacity_score"):
        rows[name] = rng.uniform(0, 100, hours)
    at = np.searchsorted(bars.close_time_ms, rows["hour_start"] + HOUR_MS, side="right") - 1
    rows["close"] = bars.prices("close")[np.maximum(at, 0)]
    rows["range_low"], rows["range_high"] = rows["close"] - 2, rows["close"] + 2
    rows["confidence"] = rng.uniform(0, 1, hours)
    rows["candle_state"] = rng.integers(0, len(REGIME_STATES), hours).astype(np.int32)
    rows["direction"] = rng.integers(0, 3, hours).astype(np.int8)
    rows["policy_hash"] = objects(["0123456789abcdef"] * hours)
    rows["verdict"][:young], rows["confidence"][:young] = 0, 0.0
    for name in ("trend_score", "range_low", "range_high"):
        rows[name][:young] = np.nan
    return rows


def _documents(row: dict[str, Any]) -> dict[str, Any]:
    """Weights of the four verdicts and factors of an hour."""
    if row["verdict"] == 0:
        template = "Still warming up: the series has fewer than 168 bars ({ranked_observations} earlier observations)."
        return {"weights": [], "factors": [Factor("DATA", {"ranked_observations": 7}, 150, None, DECIDED, template)]}
    others = [name for name in VERDICTS[1:] if name != VERDICTS[row["verdict"]]]
    ordered = zip([VERDICTS[row["verdict"]], *others], (0.5, 0.3, 0.15, 0.05), strict=True)
    quality, trend = row["range_quality_score"], row["trend_score"]
    is_weak = quality < 30
    return {
        "weights": [{"verdict": name, "weight": weight} for name, weight in ordered],
        "factors": [
            Factor(
                "RANGE_WEAK_GATE",
                {"range_quality_score": quality},
                30,
                30 - quality,
                DECIDED if is_weak else NOT_MET,
                f"Range quality {{range_quality_score:.1f}} is {'' if is_weak else 'not '}below 30.",
            ),
            Factor(
                "TREND",
                {"trend_score": trend, "agreeing_indicators": int(trend) % 4},
                70,
                trend - 70,
                NOT_MET if is_weak else DECIDED,
                "Trend {trend_score:.1f} ({agreeing_indicators} of 3 indicators agree) is below 70: no TREND.",
            ),
        ],
    }


def _grids(market: Market, stop_ms: int) -> list[GridConfig]:
    fields: dict[str, Any] = {
        "symbol": market.symbol, "tick": "0.01", "lower": "95", "upper": "105", "levels": 5, "spacing": "arithmetic",
        "min_notional": "5", "allocation_quote": "1000", "taker_fee_bps": "5", "maker_fee_bps": "2",
        "who": "ann", "reason": "calm",
    }  # fmt: skip
    first = datetime.fromtimestamp(START / 1000 + 3600, UTC)
    second = datetime.fromtimestamp(stop_ms / 1000, UTC)
    return [
        GridConfig(**fields, enabled=True, version=1, valid_from=first),
        GridConfig(**fields, enabled=False, version=2, supersedes=1, valid_from=second),
    ]


def _advice(hour_start: Any, stop_ms: int) -> Rows:
    count = len(hour_start)
    rows: Rows = {column.name: np.zeros(count, DTYPES[column.kind]) for column in GRID_ADVICE}
    is_stopped = hour_start >= stop_ms
    rows |= {"hour_start": hour_start, "config_version": np.where(is_stopped, 2, 1)}
    rows["action"] = np.full(count, ACTIONS.index("KEEP"), np.int8)
    rows["action"][-3:], rows["is_actionable"][-3:] = ACTIONS.index("ENABLE"), True
    rows["stopped_at"] = np.full(count, stop_ms)
    rows["gate_state"] = np.where(is_stopped, GATE_STATES.index("GATE_2"), 0).astype(np.int8)
    reason = Factor("ACTION", {}, None, None, DECIDED, "The grid is disabled and the verdict is RANGE_OK.")
    check = {"gate": 1, "name": "ADX_DECAY", "is_met": True, "sentence": "ADX 12.0 is below 20."}
    rows |= {"reasons": objects([[reason]] * count), "gate_checks": objects([[check]] * count)}
    return rows | {"restart_grid": objects([None] * count), "graduation": objects([[]] * count)}
