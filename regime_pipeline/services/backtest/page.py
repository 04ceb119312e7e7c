"""A backtest as one HTML page: everything inline, no script, no request; the same backtest gives the same bytes.

Figures come from the backtest, wording from here and the template; nothing is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined, Template

from regime_pipeline import __version__
from regime_pipeline.domain.window import to_iso
from regime_pipeline.services.backtest import charts
from regime_pipeline.services.backtest.cells import Panel
from regime_pipeline.services.backtest.charts import ORDER
from regime_pipeline.services.backtest.figures import Figures
from regime_pipeline.services.backtest.hours import MarketHours
from regime_pipeline.services.backtest.page_tables import (
    confidence_table,
    key_table,
    label_table,
    return_table,
    summary_table,
    transition_table,
    verdict_name,
    verdict_table,
)
from regime_pipeline.services.backtest.runner import Backtest
from regime_pipeline.services.backtest.timeline import LETTERS, timeline

ALL: Final = "All markets"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with an anchor."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def to_html(backtest: Backtest) -> bytes:
    """Return the page."""
    symbols = list(backtest.markets)
    text = _template().render(
        start=to_iso(backtest.window.start_ms),
        end=to_iso(backtest.window.end_ms),
        backtest=backtest,
        symbols=symbols,
        sections=_sections(backtest),
        legend=[(LETTERS[v], verdict_name(v), v) for v in ORDER],
        labels=[(LETTERS[v], v, v) for v in ("RANGE", "TREND", "VOLATILE")],
        has_truth=backtest.overall.truth is not None,
        rule=backtest.rule,
        version=__version__,
    )
    return text.encode()


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    folder = files("regime_pipeline.services.backtest")
    environment.globals["style"] = folder.joinpath("report.css").read_text("utf-8")
    return environment.from_string(folder.joinpath("report.html.j2").read_text("utf-8"))


def _sections(backtest: Backtest) -> list[Section]:
    """The summary, all markets together where there are several, then each market."""
    has_truth = backtest.overall.truth is not None
    places = {f"markets/{symbol}": (symbol, found) for symbol, found in backtest.markets.items()}
    if len(places) > 1:
        places = {"overall": (ALL, backtest.overall), **places}
    bars = charts.share_bars(
        {title: {v: found.verdicts[v].share for v in ORDER} for title, found in places.values() if found.hours}
    )
    panels = (
        Panel(table=summary_table(places, has_truth), columns=6),
        Panel("How the hours divide", "Share of the hours by verdict.", chart=bars, columns=6),
    )
    hours = {each.market.symbol: each for each in backtest.hours}
    return [
        Section("summary", "Summary", panels),
        *(
            Section(f"at-{path.rpartition('/')[2]}", title, _panels(path, found, hours.get(title), backtest))
            for path, (title, found) in places.items()
            if found.hours
        ),
    ]


def _panels(path: str, found: Figures, hours: MarketHours | None, backtest: Backtest) -> tuple[Panel, ...]:
    """The panels of one market, or of all together (without a chart over time)."""
    stacks = {v: found.verdicts[v].confidence.histogram for v in ORDER if v != "INSUFFICIENT_DATA"}
    over_time = [] if hours is None else [_over_time(hours, backtest)]
    return (
        *over_time,
        Panel(table=verdict_table(path, found), columns=6),
        Panel("Confidence", "Hours by confidence, stacked by verdict.", chart=charts.histogram(stacks)),
        Panel(
            "The bar after each verdict",
            "Mean return in basis points, with one standard error to either side.",
            chart=charts.return_bars(found.returns),
        ),
        Panel(table=transition_table(path, found)),
        Panel(table=return_table(path, found)),
        *_label_panels(path, found),
    )


def _over_time(hours: MarketHours, backtest: Backtest) -> Panel:
    text = "Closes, and below them what was said hour by hour, and what the labels say."
    return Panel("Over time", text, chart=timeline(hours, backtest.window), columns=6)


def _label_panels(path: str, found: Figures) -> list[Panel]:
    panels = []
    kinds = [("hindsight", found.hindsight)]
    if found.truth is not None:
        kinds.insert(0, ("truth", found.truth))
        panels += [
            Panel(table=key_table(f"{path}/truth", found.truth, "true", found.delay), columns=2),
            Panel(table=label_table(f"{path}/truth", found.truth, "true"), columns=4),
        ]
    return [
        *panels,
        Panel(table=key_table(f"{path}/hindsight", found.hindsight, "hindsight", None), columns=2),
        Panel(table=label_table(f"{path}/hindsight", found.hindsight, "hindsight"), columns=4),
        Panel(table=confidence_table(path, kinds), columns=6),
    ]
