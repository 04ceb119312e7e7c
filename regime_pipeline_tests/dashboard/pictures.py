"""Takes the pictures of docs/pictures from a built site: `python -m regime_pipeline_tests.dashboard.pictures SITE`.

Made within the hour of `regime demo`, so that nothing is stale. A tool that reduces a PNG to a palette makes them four
times smaller.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.dashboard.browser import opened
from regime_pipeline_tests.dashboard.conftest import CHROMIUM, FLAGS

PICTURES = REPOSITORY / "docs" / "pictures"
SHOTS = {
    "overview": ("index.html", "light", 1200, 700),
    "market": ("BRAVO-USDT_1h.html", "dark", 1200, 1130),
    "gates": ("CHARLIE-USDT_1h.html", "light", 1200, 1130),
    "telephone": ("index.html", "dark", 390, 700),
}
"""Page, theme, width and height of each picture."""
AS_CANDLES = ("market",)


def main(site: Path) -> None:
    """Write every picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, (page, theme, width, tall) in SHOTS.items():
            with opened(browser, viewport={"width": width, "height": tall}, color_scheme=theme) as visit:
                shown = visit(f"{site.absolute().as_uri()}/{page}")
                if name in AS_CANDLES:
                    shown.click("button[data-price=candles]")
                shown.wait_for_timeout(1_000)
                shown.screenshot(path=PICTURES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
