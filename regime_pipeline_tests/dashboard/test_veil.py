"""Playback shows nothing of the future: another one leaves pixels, page, picture and table the same, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.schema import ACTIONS, GATE_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline_tests.dashboard.browser import Open, link, painted, wait_until
from regime_pipeline_tests.dashboard.factories import make_rows, write

pytestmark = pytest.mark.slow

HOURS, AT = 240, 170
"""The hour looked at lies after the stop, in the middle of the view."""


def changed(rows: MarketRows) -> MarketRows:
    """The same past with another future from the close of `AT` on: prices, verdicts, scores, advice, a stop, a grid."""
    later, end_ms = rows.hours["hour_start"] > rows.start_ms + AT * HOUR_MS, rows.start_ms + (AT + 1) * HOUR_MS
    hours = {name: column.copy() for name, column in rows.hours.items()}
    for name in ("close", "range_low", "range_high"):
        hours[name][later] *= 10
    for name in ("trend_score", "mean_rev_score", "confidence"):
        hours[name][later] /= 3
    hours["verdict"][later] = 0
    hours["candle_state"][later] = 1
    hours["hour_status"][later] = 1
    assert rows.advice is not None
    advice = {name: column.copy() for name, column in rows.advice.items()}
    advice["action"][later] = ACTIONS.index("STOP_PLACING")
    advice["gate_state"][later] = GATE_STATES.index("PERMITTED")
    closes, is_late = rows.bars.close.copy(), rows.bars.close_time_ms > end_ms
    closes[is_late] *= 10
    opens, volume = np.where(is_late, closes // 2, rows.bars.open), np.where(is_late, 50.0, rows.bars.volume)
    factors = {name: column.copy() for name, column in rows.verdicts.items()}
    for place in np.flatnonzero(later):
        factors["factors"][place] = rows.verdicts["factors"][0]
        factors["weights"][place] = []
    high, low = np.maximum(opens, closes) + 9, np.minimum(opens, closes) - 9
    bars = replace(rows.bars, open=opens, high=high, low=low, close=closes, volume=volume)
    stops = [*rows.stops, StopEvent(rows.market.symbol, end_ms + 5 * HOUR_MS, "MANUAL", "bob", "crash")]
    return replace(rows, hours=hours, bars=bars, advice=advice, verdicts=factors, stops=stops)


def with_later_grid(rows: MarketRows) -> tuple[MarketRows, MarketRows]:
    """A market that has no grid yet, and the same one whose first grid comes later."""
    assert rows.advice is not None
    advice = {name: column.copy() for name, column in rows.advice.items()}
    for name in ("config_version", "gate_state", "action"):
        advice[name][:] = 0
    after = rows.start_ms + (AT + 9) * HOUR_MS
    grid = replace_time(rows.grids[0], after)
    later = {name: column.copy() for name, column in advice.items()}
    later["gate_state"][rows.hours["hour_start"] > after] = GATE_STATES.index("GATE_1")
    return replace(rows, advice=advice, grids=(), stops=()), replace(rows, advice=later, grids=(grid,), stops=())


def replace_time(config: GridConfig, time_ms: int) -> GridConfig:
    """The same grid, valid from another time on."""
    return config.model_copy(update={"valid_from": datetime.fromtimestamp(time_ms / 1000, UTC)})


def seen(page: Page, kind: str) -> dict[str, object]:
    """All that a reader can see, read or save of a page, with the price as a line or as candles."""
    wait_until(page, "[...document.querySelectorAll('.now')].every((sign) => sign.textContent)")
    page.click(f"[data-price={kind}]")
    wait_until(page, "kind => document.documentElement.dataset.shown === kind", kind)
    page.check("#veil")
    page.mouse.move(2, 2)  # the page has moved up under the pointer, which may be on a chart now
    painted(page)
    page.evaluate("document.querySelector('.readout').style.position = 'static'")  # no layer keeps where it was before
    found: dict[str, object] = {"title": page.title(), "screen": page.screenshot(full_page=True)}
    found["page"] = page.evaluate("document.body.outerHTML.replaceAll(location.href.split('#')[0], '')")
    found["text"] = page.evaluate("document.body.innerText")
    found["canvases"] = page.evaluate("[...document.querySelectorAll('canvas')].map((c) => c.toDataURL())")
    for export in ("csv", "png"):
        with page.expect_download() as download:
            page.click(f"#{export}")
        found[export] = Path(download.value.path()).read_bytes()
    return found


@pytest.mark.parametrize(
    ("timeframe", "kind", "future"),
    [
        *(("1m", "line", "changed"), ("1m", "candles", "changed"), ("15m", "candles", "changed")),
        *(("1h", "line", "changed"), ("4h", "candles", "changed"), ("1h", "line", "first grid")),
    ],
)
def test_another_future_leaves_every_byte_as_it_is(
    visit: Open, tmp_path: Path, timeframe: str, kind: str, future: str
) -> None:
    """Of minutes there are so many that older prices are rounded."""
    rows = make_rows(HOURS, Market("ALFA-USDT", timeframe), has_advice=True)
    pair = with_later_grid(rows) if future == "first grid" else (rows, changed(rows))
    shown = []
    for name, each in zip(("one", "other"), pair, strict=True):
        write([each], tmp_path / name)
        page = visit(f"{(tmp_path / name).as_uri()}/{link(rows, 120, 200, AT)}")
        before = page.screenshot(full_page=True)
        shown.append(seen(page, kind))
        page.uncheck("#veil")
        painted(page)
        assert page.evaluate("document.querySelectorAll('.summary > div').length") == 5
        assert before != shown[-1]["screen"]

    one, other = shown
    assert {name for name in one if one[name] != other[name]} == set()
    table = str(one["csv"], "utf-8") if isinstance(one["csv"], bytes) else ""
    assert len(table.splitlines()) == AT + 1 - 120 + 1  # hours of the view up to the one looked at, and the header
    assert "crash" not in str(other["page"])


def test_the_whole_comes_back_when_nothing_is_hidden(visit: Open, tmp_path: Path) -> None:
    rows = make_rows(HOURS, has_advice=True)
    write([rows], tmp_path)
    page = visit(f"{tmp_path.as_uri()}/{link(rows, 120, 200, AT)}")
    canvases = "[...document.querySelectorAll('canvas')].map((c) => c.toDataURL())"
    whole = page.evaluate(canvases), page.title(), page.locator("main").inner_text()

    page.check("#veil")
    painted(page)
    hidden = page.evaluate(canvases), page.title(), page.locator("main").inner_text()
    page.uncheck("#veil")
    painted(page)

    assert all(one != other for one, other in zip(whole, hidden, strict=True))
    assert (page.evaluate(canvases), page.title(), page.locator("main").inner_text()) == whole
