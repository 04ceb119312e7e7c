"""Playback shows nothing of the future: another one leaves pixels, page, picture and table the same, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.grids.schema import ACTIONS, GATE_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline_tests.dashboard.browser import Open, link, painted
from regime_pipeline_tests.dashboard.factories import make_rows, write

pytestmark = pytest.mark.slow

HOURS, AT = 240, 170
"""The hour looked at lies after the stop, in the middle of the view."""


def changed(rows: MarketRows) -> MarketRows:
    """The same past with another future from the close of `AT` on: prices, verdicts, scores, advice, a stop, a grid."""
    later, end_ms = rows.hours["hour_start"] > rows.start_ms + AT * HOUR_MS, rows.start_ms + (AT + 1) * HOUR_MS
    hours = {name: column.copy() for name, column in rows.hours.items()}
    for name in ("close", "range_low", "range_high"):
        hours[name][later] /= 2
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
    closes[is_late] //= 2
    factors = {name: column.copy() for name, column in rows.verdicts.items()}
    for place in np.flatnonzero(later):
        factors["factors"][place] = rows.verdicts["factors"][0]
        factors["weights"][place] = []
    bars = replace(rows.bars, open=closes, high=closes + 9, low=closes - 9, close=closes)
    stops = [*rows.stops, StopEvent(rows.market.symbol, end_ms + 5 * HOUR_MS, "MANUAL", "bob", "crash")]
    return replace(rows, hours=hours, bars=bars, advice=advice, verdicts=factors, stops=stops)


def seen(page: Page) -> dict[str, object]:
    """All that a reader can see, read or save of a page."""
    page.wait_for_function("[...document.querySelectorAll('.now')].every((sign) => sign.textContent)")
    page.check("#veil")
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


@pytest.mark.parametrize("timeframe", ["15m", "1h", "4h"])
def test_another_future_leaves_every_byte_as_it_is(visit: Open, tmp_path: Path, timeframe: str) -> None:
    rows = make_rows(HOURS, Market("ALFA-USDT", timeframe), has_advice=True)
    shown = []
    for name, each in (("one", rows), ("other", changed(rows))):
        write([each], tmp_path / name)
        page = visit(f"{(tmp_path / name).as_uri()}/{link(rows, 120, 200, AT)}")
        before = page.screenshot(full_page=True)
        shown.append(seen(page))
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
