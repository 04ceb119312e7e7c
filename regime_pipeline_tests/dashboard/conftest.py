"""Fixtures of the dashboard's tests: a site of made-up rows, a server of it, and a browser to open it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from regime_pipeline.cli.dashboard import LOOPBACK, served
from regime_pipeline_tests.dashboard.browser import Open, opened
from regime_pipeline_tests.dashboard.factories import site_rows, write

CHROMIUM = os.environ.get("REGIME_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of four markets that show every state, every kind of hole, grids, a stop and gates."""
    folder = tmp_path_factory.mktemp("dashboard") / "site"
    write(site_rows(), folder)
    return folder


@pytest.fixture(scope="session")
def http(site: Path) -> Iterator[str]:
    """Address of the same site on a server."""
    with served(site, 0, LOOPBACK, "--port") as address:
        yield address


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, site: Path) -> str:
    """Where the site is opened: as a folder, and on a server."""
    return f"{site.as_uri()}/" if request.param == "file" else str(request.getfixturevalue("http"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that REGIME_TEST_CHROMIUM names; skips where there is none.

    No longer than a module: while Playwright runs, no other test of the process may start an event loop.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium found (set REGIME_TEST_CHROMIUM)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Open]:
    """Open pages, 1280 wide and light; none may log an error."""
    with opened(chromium) as goto:
        yield goto
