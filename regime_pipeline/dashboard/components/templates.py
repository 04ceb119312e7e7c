"""The environment in which pages are rendered: templates, macros and formatting that site and report share.

See `site.pages` and `report.page` for what a page shows.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from importlib.resources import files
from typing import Final

import jinja2

from regime_pipeline.dashboard import formatting
from regime_pipeline.dashboard.components.sparklines import PRICE_HEIGHT
from regime_pipeline.dashboard.data.latest_hour import STALE_HOURS
from regime_pipeline.dashboard.data.payload import SCORE_COLUMNS
from regime_pipeline.domain.schema import VERDICTS

_TRAILING: Final = re.compile(r"  // [^\"'`]*$")
ZONES: Final = (
    *("UTC", "America/Los_Angeles", "America/New_York", "America/Sao_Paulo", "Europe/London", "Europe/Berlin"),
    *("Asia/Dubai", "Asia/Kolkata", "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney"),
)
"""Time zones that pages offer beside the browser's own."""


@lru_cache
def environment(package: str = "") -> jinja2.Environment:
    """Return the environment of the dashboard's templates, and of another package's folder `templates` if wanted."""
    packages = [name for name in (package, "regime_pipeline.dashboard") if name]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "moment": formatting.moment,
        "number": formatting.number,
        "percent": formatting.percent,
        "duration": formatting.duration,
        "name": formatting.name,
        "mark": formatting.mark,
        "action": formatting.action,
        "change": formatting.change,
        "sortable": formatting.sortable,
    }
    made.globals |= {
        "stale_hours": STALE_HOURS,
        "verdicts": VERDICTS,
        "score_columns": SCORE_COLUMNS,
        "price_height": PRICE_HEIGHT,
        "start_script": start_script(),
        "dark_style": static_file("dark.css"),
        "zones": ZONES,
    }
    return made


def static_file(name: str) -> str:
    """Return a style sheet or script of this package."""
    return (files("regime_pipeline.dashboard") / "static" / name).read_text("utf-8")


def start_script() -> str:
    """Return what every page runs before it is painted: the reader's choices, and that there are scripts."""
    return squeezed("start.js", static_file("start.js"))


def squeezed(name: str, text: str) -> str:
    """Return one of our own scripts without comments and indentation, which readers of the page need not load."""
    if name.startswith("vendor/") or not name.endswith(".js"):
        return text
    lines = (_TRAILING.sub("", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("/*")) + "\n"


def script_hash(text: str) -> str:
    """Return what a content security policy calls an inline script by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
