"""A backtest as one self-contained HTML page in the dashboard's style; the same backtest gives the same bytes.

See `services.backtest` for the figures, `tables` for the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from regime_pipeline import __version__
from regime_pipeline.dashboard.components import charts
from regime_pipeline.dashboard.components.charts import ORDER, Svg
from regime_pipeline.dashboard.components.tables import Table
from regime_pipeline.dashboard.components.templates import environment, script_hash, squeezed, start_script
from regime_pipeline.dashboard.report.tables import (
    INKS,
    chart_payload,
    confidence_table,
    key_table,
    label_table,
    labels_of,
    picture,
    return_table,
    run_table,
    summary_table,
    transition_table,
    verdict_confidence_table,
)
from regime_pipeline.dashboard.site.parts import CHART_SCRIPTS, STYLES, inline_json, joined
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.backtest.classes import CLASSES
from regime_pipeline.services.backtest.figures import Figures
from regime_pipeline.services.backtest.hours import BacktestHours
from regime_pipeline.services.backtest.runner import Backtest

ALL: Final = "All markets"
_PACKAGE: Final = "regime_pipeline.dashboard.report"
_LABELS: Final = {"truth": "True labels", "hindsight": "Hindsight"}


@dataclass(frozen=True, slots=True)
class Panel:
    """A table, or a chart with a heading and a sentence that says how to read it."""

    title: str = ""
    text: str = ""
    chart: Svg | None = None
    table: Table | None = None
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class OverTime:
    """What the scripts draw of one market: hours of the span, kinds of labels with their titles, the payload."""

    hours: int
    labels: tuple[tuple[str, str], ...]
    payload: str


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A part of the page with an anchor."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    over_time: OverTime | None = None


def to_html(backtest: Backtest) -> bytes:
    """Return the page."""
    style, script = _inline()
    text = environment(_PACKAGE).get_template("report.html").render(
        start=to_iso(backtest.window.start_ms),
        end=to_iso(backtest.window.end_ms),
        backtest=backtest,
        symbols=list(backtest.markets),
        sections=_sections(backtest),
        verdicts=ORDER,
        classes=CLASSES,
        inks=INKS,
        has_truth=backtest.overall.truth is not None,
        rule=backtest.rule,
        version=__version__,
        style=style,
        script=script,
        script_hashes=f"{script_hash(start_script())} {script_hash(script)}",
    )  # fmt: skip
    return text.encode()


@cache
def _inline() -> tuple[str, str]:
    """Style sheet and script of the page: the dashboard's, and what only a report has."""
    own = files(_PACKAGE) / "static"
    style = f"{joined(STYLES)}\n{(own / 'report.css').read_text('utf-8')}"
    ours = squeezed("report.js", (own / "report.js").read_text("utf-8"))
    script = f"{joined(('zones.js', 'settings.js', *CHART_SCRIPTS))}\n{ours}"
    return style, f"/*\n{joined(['vendor/LICENSE'])}*/\n{script}"


def _sections(backtest: Backtest) -> list[ReportSection]:
    """The summary, all markets together where there are several, then each market."""
    places = {f"markets/{symbol}": (symbol, found) for symbol, found in backtest.markets.items()}
    if len(places) > 1:
        places = {"overall": (ALL, backtest.overall), **places}
    hours = {each.market.symbol: each for each in backtest.hours if len(each)}
    return [
        ReportSection("summary", "Summary", _summary(backtest, places, hours)),
        *(
            ReportSection(
                f"at-{path.rpartition('/')[2]}", title, _panels(path, found), _over_time(hours.get(title), backtest)
            )
            for path, (title, found) in places.items()
            if found.hours
        ),
    ]


def _summary(
    backtest: Backtest, places: dict[str, tuple[str, Figures]], hours: dict[str, BacktestHours]
) -> tuple[Panel, ...]:
    strips = {symbol: picture(each, backtest.window) for symbol, each in hours.items()}
    bars = charts.share_bars(
        {title: {v: found.verdicts[v].share for v in ORDER} for title, found in places.values() if found.hours}
    )
    return (
        Panel(table=summary_table(places, strips, backtest.overall.truth is not None)),
        Panel("How the hours divide", "Share of the hours by verdict.", chart=bars, is_wide=True),
    )


def _over_time(hours: BacktestHours | None, backtest: Backtest) -> OverTime | None:
    """What is drawn over time; nothing for all markets together."""
    if hours is None:
        return None
    labels = tuple((name, _LABELS[name]) for name in labels_of(hours))
    payload = inline_json(chart_payload(hours, backtest.window))
    return OverTime(len(backtest.window), labels, payload)


def _panels(path: str, found: Figures) -> tuple[Panel, ...]:
    """The panels of one market, or of all together."""
    stacks = {v: found.verdicts[v].confidence.histogram for v in ORDER if v != "INSUFFICIENT_DATA"}
    return (
        Panel(table=transition_table(path, found)),
        Panel(table=run_table(path, found)),
        Panel("Confidence", "Hours by confidence, stacked by verdict.", chart=charts.histogram(stacks)),
        Panel(table=verdict_confidence_table(path, found)),
        Panel(
            "The bar after each verdict",
            "Mean return in basis points, with one standard error to either side.",
            chart=charts.return_bars(found.returns),
        ),
        Panel(table=return_table(path, found)),
        *_label_panels(path, found),
    )


def _label_panels(path: str, found: Figures) -> list[Panel]:
    panels = []
    kinds = [("hindsight", found.hindsight)]
    if found.truth is not None:
        kinds.insert(0, ("truth", found.truth))
        panels += [
            Panel(table=key_table(f"{path}/truth", found.truth, "true", found.delay)),
            Panel(table=label_table(f"{path}/truth", found.truth, "true")),
        ]
    return [
        *panels,
        Panel(table=key_table(f"{path}/hindsight", found.hindsight, "hindsight", None)),
        Panel(table=label_table(f"{path}/hindsight", found.hindsight, "hindsight")),
        Panel(table=confidence_table(path, kinds)),
    ]
