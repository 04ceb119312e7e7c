"""What the browser tests share: opening pages that may log no error, links to a view, and the pixels of a chart."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Error, Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import to_iso

Open = Callable[[str], Page]
Color = tuple[int, int, int]
LINE_TOLERANCE = 60
"""How far the edges of a thin line may be from its colour; everything else in a chart is farther."""
PATIENCE_MS = 30_000
"""How long a test waits for a page: a busy machine is no fault of the page."""
_PIXELS = """([id, points]) => {
  const box = document.querySelector(`[data-chart="${id}"]`), canvas = box.querySelector("canvas");
  const outer = canvas.getBoundingClientRect(), inner = box.querySelector(".u-over").getBoundingClientRect();
  const scale = canvas.width / outer.width;
  const left = (inner.left - outer.left) * scale, top = (inner.top - outer.top) * scale;
  return points.map(([x, y]) => Array.from(canvas.getContext("2d").getImageData(
    Math.floor(left + x * inner.width * scale), Math.floor(top + y * scale), 1, 1).data.slice(0, 4)));
}"""

_COLUMNS = """([id, shares]) => {
  const box = document.querySelector(`[data-chart="${id}"]`), canvas = box.querySelector("canvas");
  const outer = canvas.getBoundingClientRect(), inner = box.querySelector(".u-over").getBoundingClientRect();
  const scale = canvas.width / outer.width;
  const left = (inner.left - outer.left) * scale, top = (inner.top - outer.top) * scale;
  return shares.map((x) => Array.from(canvas.getContext("2d").getImageData(
    Math.floor(left + x * inner.width * scale), Math.round(top), 1, Math.floor(inner.height * scale)).data));
}"""


@contextmanager
def opened(chromium: Browser, **options: Any) -> Iterator[Open]:
    """Give a function that opens addresses in pages of one context; no page may have logged an error at the end."""
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", **options})
    context.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []

    def goto(url: str) -> Page:
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        if options.get("java_script_enabled", True) and page.locator("#price").count():
            page.locator("html[data-ready='true']").wait_for(state="attached")  # the server's policy refuses eval
        return page

    yield goto
    context.close()
    assert faults == [], faults


def minute(ms: int) -> str:
    """A time as addresses hold it."""
    return to_iso(ms)[:16]


def link(rows: MarketRows, first: int, end: int, at: int) -> str:
    """Page and fragment that show the hours `first` to `end` (exclusive) of a market, with the hour `at` chosen."""
    start, stop, chosen = (minute(rows.start_ms + hour * HOUR_MS) for hour in (first, end, at))
    return f"{rows.market.key}.html#from={start}&to={stop}&at={chosen}"


def pixels(page: Page, chart: str, points: Sequence[tuple[float, float]]) -> list[Color | None]:
    """Colours of a chart's plot, as on the page, at (share of its width, pixels from its top); None: nothing drawn."""
    found, surface = page.evaluate(_PIXELS, [chart, [list(point) for point in points]]), ink(page, "surface")
    return [blend((red, green, blue), surface, alpha / 255) if alpha else None for red, green, blue, alpha in found]


def painted(page: Page) -> None:
    """Return when the page has taken up what was emulated: in its next frame it sends events and draws charts."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def wait_until(page: Page, condition: str, given: object = None) -> None:
    """Return once a condition holds in the page.

    Playwright's own `wait_for_function` asks again from within the page, by `eval`, which the server's policy refuses.
    """
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not _holds(page, condition, given):
        assert time.monotonic() < deadline, f"never true: {condition}"
        page.wait_for_timeout(20)


def _holds(page: Page, condition: str, given: object) -> bool:
    try:
        return bool(page.evaluate(condition, given))
    except Error as fault:
        if "navigat" not in str(fault) and "context was destroyed" not in str(fault):
            raise
        return False  # a page that is on its way elsewhere has nothing to say yet


def lines(page: Page, chart: str, shares: Sequence[float]) -> list[list[float]]:
    """Where, in pixels from the top, columns of a chart have the colour of its line; none where it is broken."""
    color, found = ink(page, "price"), []
    for column in page.evaluate(_COLUMNS, [chart, list(shares)]):
        dots = np.array(column).reshape(-1, 4)
        is_line = (np.abs(dots[:, :3] - color).max(axis=1) <= LINE_TOLERANCE) & (dots[:, 3] > 128)
        found.append([float(y) + 0.5 for y in np.flatnonzero(is_line)])
    return found


def height(page: Page, chart: str) -> float:
    """Height of a chart's plot in pixels."""
    box = "document.querySelector(`[data-chart='${id}'] .u-over`).getBoundingClientRect()"
    return float(page.evaluate(f"id => {box}.height", chart))


def ink(page: Page, name: str) -> Color:
    """A colour of the style sheet."""
    text = page.evaluate(
        "name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()", name
    )
    digits = re.fullmatch(r"#(..)(..)(..)(?:..)?", text)
    assert digits, f"--{name}: {text}"
    return int(digits[1], 16), int(digits[2], 16), int(digits[3], 16)


def blend(over: Color, under: Color, alpha: float) -> Color:
    """A colour on another."""
    red, green, blue = (round(alpha * top + (1 - alpha) * below) for top, below in zip(over, under, strict=True))
    return red, green, blue


def is_close(left: Color | None, right: Color, tolerance: int = 4) -> bool:
    """Whether two colours look the same; rounding differs between browsers."""
    return left is not None and max(abs(one - other) for one, other in zip(left, right, strict=True)) <= tolerance
