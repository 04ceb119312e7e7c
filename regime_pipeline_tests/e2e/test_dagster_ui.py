"""Dagster's UI as an analyst and an operator see it, in a browser, on one `regime up` for all of it.

What GraphQL says is tested in `test_regime_up`; here it is what pages show, and what clicks do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, sync_playwright

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.pipeline.partitions import partition_key
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline_tests.dashboard.conftest import CHROMIUM, FLAGS
from regime_pipeline_tests.e2e.regime_up import Up, running_up, until

pytestmark = pytest.mark.slow

ALFA = Market("ALFA-USDT", "1h")
END = int(time.time() * 1000) // HOUR_MS * HOUR_MS
HOURS, FILLED = 24, 6
WIDE = {"width": 1500, "height": 900}
PATIENCE_MS = 120_000
"""How long a page may take: the server shares the machine with other tests."""
MARKETS = f"""
[partitions]
start = {to_iso(END - HOURS * HOUR_MS)}
end = {to_iso(END)}

[[markets]]
symbol = "{ALFA.symbol}"
timeframes = ["{ALFA.timeframe}"]
source = "simulated"
"""
_LAUNCH = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""


def hour(number: int) -> int:
    """Start of an hour of the market, counted from the first."""
    return END - (HOURS - number) * HOUR_MS


@dataclass(frozen=True)
class Desk:
    """A browser at a running UI, which keeps what it has loaded from page to page."""

    up: Up
    browser: BrowserContext

    def open(self, path: str) -> Page:
        """A page of the UI."""
        page = self.browser.new_page()
        page.goto(f"{self.up.url}{path}")
        return page


@pytest.fixture(scope="module")
def desk(module_home: Path) -> Iterator[Desk]:
    if CHROMIUM is None:
        pytest.skip("no chromium found (set REGIME_TEST_CHROMIUM)")
    with running_up(module_home, MARKETS) as up, sync_playwright() as playwright:
        launch_without_upstream(up)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport=WIDE)
        context.set_default_timeout(PATIENCE_MS)
        yield Desk(up, context)
        browser.close()


def launch_without_upstream(up: Up) -> None:
    """Ask for verdicts of an hour that has no scores: a run that cannot succeed, while other pages are looked at."""
    asked = {"assetSelection": [{"path": ["regime_verdicts"]}], "partitionNames": [partition_key(ALFA, hour(20))]}
    launched = up.graphql(_LAUNCH, {"params": asked})["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched


@pytest.fixture(scope="module")
def backfill(desk: Desk) -> str:
    """The first hours of the market, chosen and launched by clicks."""
    page = desk.open("/lineage")
    page.get_by_role("button", name="Materialize all").first.click()
    dialog = page.get_by_role("dialog")
    first, last = (partition_key(ALFA, hour(number)).partition("|")[0] for number in (0, FILLED - 1))
    hours = dialog.get_by_placeholder("ex: ")
    hours.fill(f"[{first}...{last}]")
    hours.press("Enter")
    dialog.get_by_role("button", name="All", exact=True).last.click()
    dialog.get_by_text(f"{FILLED} partitions").wait_for()
    dialog.get_by_role("button", name="Launch backfill").click()
    said = page.get_by_text("Created backfill")
    said.wait_for()
    return said.inner_text().split()[-1]


def is_in_view(found: Locator) -> bool:
    """Whether something is on the screen as it opened, without scrolling."""
    box = found.bounding_box()
    return box is not None and 0 <= box["x"] < WIDE["width"] and 0 <= box["y"] < WIDE["height"]


def test_the_lineage_opens_with_every_asset_in_view(desk: Desk, backfill: str) -> None:
    page = desk.open("/lineage")
    names = [*(stage.name for stage in STAGES), "dashboard_site"]
    page.get_by_text("dashboard_site", exact=True).first.wait_for()

    assert len(names) == 9
    assert [name for name in names if not is_in_view(page.get_by_text(name, exact=True).first)] == []


def test_a_run_that_failed_says_first_what_is_wrong_and_what_to_do(desk: Desk, backfill: str) -> None:
    failed = until(120, lambda: failed_run(desk), "the run's failure")
    page = desk.open(f"/runs/{failed}")
    page.get_by_text("RUN_FAILURE", exact=True).wait_for()
    sentence = page.get_by_text("Materialize scores for these partitions first.").last
    text = page.locator("body").inner_text()
    of_step, of_run = (text.partition(event)[2].strip().splitlines() for event in ("STEP_FAILURE", "RUN_FAILURE"))

    assert is_in_view(sentence)
    for line in (of_step[0], of_run[1]):  # the run's first line is Dagster's own and names the step
        assert "scores of ALFA-USDT_1h lacks 1 of the 1 hours" in line
        assert line.endswith("Materialize scores for these partitions first.")
    assert len([run for run in desk.up.runs() if run["status"] == "FAILURE"]) == 1, "a mistake is not tried again"


def failed_run(desk: Desk) -> str | None:
    found = [run["runId"] for run in desk.up.runs() if run["status"] == "FAILURE"]
    return found[0] if found else None


def test_a_backfill_that_was_launched_by_clicks_completes(desk: Desk, backfill: str) -> None:
    assert until(240, lambda: desk.up.end_of_backfill(backfill), "the backfill's end") == "COMPLETED_SUCCESS"
    page = desk.open(f"/runs/b/{backfill}")
    page.get_by_text("Completed").first.wait_for()


def test_the_newest_materialization_of_an_asset_is_its_newest_hour(desk: Desk, backfill: str) -> None:
    until(240, lambda: desk.up.end_of_backfill(backfill), "the backfill's end")
    page = desk.open("/assets/dashboard_hours")
    page.get_by_text("Latest materialization").first.wait_for()
    page.get_by_text(partition_key(ALFA, hour(FILLED - 1))).first.wait_for()

    assert page.get_by_text(f"|{ALFA.key}").count() == 1, "no other hour is named"
    page.get_by_text("Plots", exact=True).first.click()
    page.get_by_text(f"close {ALFA.key}", exact=True).first.wait_for()
    page.locator("canvas").first.wait_for()
