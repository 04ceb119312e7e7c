"""Theme and time zone: what a reader chooses is there before anything is painted, everywhere, and the next time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page

from regime_pipeline.dashboard.components.templates import ZONES
from regime_pipeline_tests.dashboard.browser import Open, ink, link, opened, painted, wait_until
from regime_pipeline_tests.dashboard.factories import ALFA, site_rows

pytestmark = pytest.mark.slow

PAGE = f"{ALFA.key}.html"
TOKYO = "Asia/Tokyo"
DARK, LIGHT = (13, 17, 22), (245, 246, 248)
BLOCKED = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("refused", "SecurityError"); }
})"""


def ground(page: Page) -> tuple[int, ...]:
    """The colour of the page behind everything."""
    text = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return tuple(int(part) for part in re.findall(r"\d+", text))


@pytest.mark.parametrize(("chosen", "system", "colors"), [("dark", "light", DARK), ("light", "dark", LIGHT)])
def test_a_chosen_theme_beats_the_systems_and_is_remembered(
    chromium: Browser, http: str, chosen: str, system: str, colors: tuple[int, ...]
) -> None:
    with opened(chromium, color_scheme=system) as visit:
        page = visit(http + PAGE)
        before = page.evaluate("document.querySelector('#price canvas').toDataURL()")
        page.select_option("#theme", chosen)
        painted(page)
        assert ground(page) == colors
        assert page.evaluate("document.querySelector('#price canvas').toDataURL()") != before
        assert ground(visit(f"{http}index.html")) == colors

        late = visit("about:blank")  # nothing but the page and its styles: what is painted first
        late.route("**/*.js*", lambda route: route.fulfill(body=""))
        late.goto(f"{http}index.html")
        assert (ground(late), late.evaluate("document.documentElement.style.colorScheme")) == (colors, chosen)
        late.unroute("**/*.js*")

        page.select_option("#theme", "")
        page.emulate_media(color_scheme=chosen)
        assert ground(page) == colors
        page.emulate_media(color_scheme=system)
        assert ground(page) != colors


@pytest.mark.parametrize("page_name", ["index.html", PAGE])
def test_without_storage_a_choice_lasts_as_long_as_the_page(chromium: Browser, http: str, page_name: str) -> None:
    with opened(chromium) as visit:
        page = visit("about:blank")
        page.add_init_script(BLOCKED)
        page.goto(http + page_name)

        page.select_option("#theme", "dark")
        page.select_option("#zone", TOKYO)

        assert ground(page) == DARK
        assert "Times are those of Asia/Tokyo, now UTC+9" in page.locator("footer").inner_text()
        page.reload()
        assert (ground(page), page.locator("#zone").input_value()) == (LIGHT, "UTC")


@pytest.mark.parametrize("kept", ["{", "5", "null", '{"theme":"pink","zone":"Mars/Base","price":7}'])
def test_spoilt_storage_is_as_good_as_none(chromium: Browser, http: str, kept: str) -> None:
    with opened(chromium) as visit:
        page = visit(http + PAGE)
        page.evaluate("kept => localStorage.setItem('regime', kept)", kept)
        page.reload()
        wait_until(page, "document.documentElement.dataset.ready === 'true'")

        assert (ground(page), page.locator("#zone").input_value(), page.locator("#theme").input_value()) == (
            LIGHT, "UTC", "",
        )  # fmt: skip
        page.select_option("#theme", "dark")
        assert ground(page) == DARK


def test_every_zone_tells_the_time_that_python_tells(visit: Open, http: str) -> None:
    page = visit(http + PAGE)
    moments = [datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
               datetime(2026, 10, 25, 1, 30, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)]  # fmt: skip
    for name in ZONES:
        page.evaluate("name => setZone(name)", name)
        for moment in moments:
            there = moment.astimezone(ZoneInfo(name))
            minutes = int((there.utcoffset() or timedelta()).total_seconds() // 60)
            offset = f"UTC{minutes // 60:+d}" if minutes % 60 == 0 else f"UTC{minutes // 60:+d}:{minutes % 60:02d}"
            expected = f"{there:%Y-%m-%d %H:%M} {offset if minutes else 'UTC'}"
            assert page.evaluate("at => localStamp(at)", moment.timestamp()) == expected
            said = f"Seen {moment:%Y-%m-%dT%H:%M:%SZ}, again."
            assert page.evaluate("said => zoned(said)", said) == (said if name == "UTC" else f"Seen {expected}, again.")


def test_every_time_of_a_page_follows_the_zone_and_exports_stay_utc(visit: Open, http: str) -> None:
    rows = site_rows()[0]
    page = visit(http + link(rows, 60, 140, 100))
    times = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")

    def read() -> tuple[list[str], str, str, dict[str, bytes], list[str]]:
        files = {}
        for export in ("csv", "png"):
            with page.expect_download() as download:
                page.click(f"#{export}")
            files[export] = Path(download.value.path()).read_bytes()
        said = page.evaluate("document.body.innerText + document.querySelector('#price').ariaLabel")
        value = page.locator("#hour").get_attribute("aria-valuetext") or ""
        page.mouse.move(2, 2)
        painted(page)
        drawn = page.evaluate("[...document.querySelectorAll('.plot canvas')].map((c) => c.toDataURL())")
        return times.findall(said), value, page.locator("#r-time").inner_text(), files, drawn

    before = read()
    page.select_option("#zone", TOKYO)
    after = read()

    def moved(text: str) -> str:
        return times.sub(
            lambda found: f"{datetime.fromisoformat(found[0] + 'Z').astimezone(ZoneInfo(TOKYO)):%Y-%m-%d %H:%M}", text
        )

    assert len(before[0]) > 30
    assert after[0] == [moved(text) for text in before[0]]
    assert (after[1], after[2]) == (moved(before[1]).replace(" UTC", " UTC+9"), moved(before[2]))
    assert after[3] == before[3]
    assert [one == other for one, other in zip(before[4], after[4], strict=True)] == [False, True, True, False]  # axes
    assert page.get_by_text("in UTC", exact=True).is_visible()
    page.check("#veil")
    page.uncheck("#veil")
    page.select_option("#zone", "UTC")
    assert read() == before


def test_a_zone_is_remembered_and_the_browsers_own_is_offered_by_name(chromium: Browser, http: str) -> None:
    with opened(chromium, timezone_id="Africa/Nairobi") as visit:
        page = visit(f"{http}index.html")
        assert page.locator("#zone option").nth(1).inner_text() == "Africa/Nairobi, this browser's"
        page.select_option("#zone", "Africa/Nairobi")
        page = visit(http + PAGE)

        assert page.locator("#r-time").inner_text() == "2026-09-11 03:00"
        assert "2026-09-11 03:00" in page.locator(".summary").inner_text()
        assert ink(page, "text")
