"""Tests of the three files: the same numbers in each, from snapshots or database; a page that needs nothing else."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import json
import math
import re
import tomllib
from collections import Counter
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regime_pipeline.dashboard.formatting import NOTHING
from regime_pipeline.dashboard.report.page import to_html
from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASSES
from regime_pipeline.services.backtest.export import to_csv, to_json
from regime_pipeline.services.backtest.figures import Figures
from regime_pipeline.services.backtest.hours import BacktestHours
from regime_pipeline.services.backtest.measure import measure
from regime_pipeline.services.backtest.readers import VerdictRows
from regime_pipeline.services.backtest.runner import Backtest, _notes, run_backtest
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.factories import START, run_stages, simulated_workspace
from regime_pipeline_tests.services.backtest.factories import (
    ALFA,
    BRAVO,
    GAP,
    JUDGED,
    STORED,
    hours_of,
    judged,
    reader_of,
    store_snapshots,
)

UNSHOWN = {"asked", "without_bar", "changes"}
"""Figures of report.json that the page tells in notes and by the day; histograms are charts."""
VOID = {"meta", "link", "input"}
MONTH, MARKETS = 30 * 24, 12
BUDGET = tomllib.loads((REPOSITORY / "regime_pipeline_tests/dashboard/budget.toml").read_text("utf-8"))
SPAN = ("2026-09-13T12:00:00Z", "2026-09-22T16:00:00Z")


class Page(HTMLParser):
    """Every tag opened is closed in order; figures, references and texts are collected."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.figures: dict[str, list[tuple[str, str]]] = {}
        self.references: list[str] = []
        self.anchors: set[str] = set()
        self.tags: Counter[str] = Counter()
        self._figure: tuple[str, str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags[tag] += 1
        self.references += [
            str(found[name]) for name in ("href", "src", "xlink:href", "action", "data") if name in found
        ]
        self.anchors |= {str(found["id"])} if "id" in found else set()
        if tag not in VOID:
            self.open.append(tag)
        if tag == "data":
            self._figure = (str(found["data-path"]), str(found["value"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._figure = None

    def handle_data(self, data: str) -> None:
        if self._figure is not None:
            path, value = self._figure
            self.figures.setdefault(path, []).append((value, data))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshots of two simulated markets, three hours of the second one missing."""
    place = tmp_path_factory.mktemp("snapshots")
    store_snapshots(place, ALFA)
    store_snapshots(place, BRAVO, without=[GAP])
    return place


@pytest.fixture(scope="module")
def found(folder: Path) -> Backtest:
    return judged(folder, ["ALFA-USDT", "bravousdt", "ALFA/USDT"])


def document(backtest: Backtest) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(to_json(backtest))
    return content


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every number of a JSON document by its place."""
    if isinstance(value, dict):
        return {k: v for name, part in value.items() for k, v in leaves(part, f"{path}/{name}".lstrip("/")).items()}
    if isinstance(value, list):
        return {k: v for at, part in enumerate(value) for k, v in leaves(part, f"{path}/{at}").items()}
    return {path: value}


def test_a_real_market_of_hours_shows_what_there_is(found: Backtest) -> None:
    whole, holed = found.markets["ALFA-USDT"], found.markets["BRAVO-USDT"]

    assert list(found.markets) == ["ALFA-USDT", "BRAVO-USDT"]
    assert (whole.hours, whole.missing, holed.hours, holed.missing) == (len(JUDGED), 0, len(JUDGED) - 3, 3)
    assert whole.verdicts["INSUFFICIENT_DATA"].hours > 0
    assert sum(whole.verdicts[v].hours > 0 for v in VERDICTS) >= 3
    assert whole.truth is not None
    assert whole.truth.hours == len(JUDGED)
    assert whole.hindsight.hours == len(JUDGED) - found.rule.bars
    assert found.notes == ("3 of 220 hours of BRAVO-USDT_1h have no snapshot.",)
    assert not found.is_whole


def test_json_is_what_the_rows_of_the_csv_add_up_to(found: Backtest) -> None:
    """The figures once more, from the text of rows.csv alone."""
    lines = list(csv.DictReader(io.StringIO(to_csv(found).decode())))
    content = document(found)

    again = {symbol: measure([from_lines(lines, symbol)]) for symbol in found.markets}
    overall = measure([from_lines(lines, symbol) for symbol in found.markets])
    for name, figures in (("overall", overall), *((f"markets/{s}", f) for s, f in again.items())):
        part = content
        for key in name.split("/"):
            part = part[key]
        check_same(part, figures)
    assert len(lines) == content["overall"]["hours"]
    assert Counter(line["verdict"] for line in lines) == Counter(
        {v: f["hours"] for v, f in content["overall"]["verdicts"].items()}
    )
    known = [float(line["next_return_bps"]) for line in lines if line["next_return_bps"] and line["verdict"] == "TREND"]
    assert content["overall"]["returns"]["TREND"]["bars"] == len(known)
    assert content["overall"]["returns"]["TREND"]["mean_bps"] == pytest.approx(math.fsum(known) / len(known))
    right = [line["verdict"].partition("_")[0] == line["true_label"] or
             (line["verdict"], line["true_label"]) == ("TRANSITION", "VOLATILE")
             for line in lines if line["verdict"] != "INSUFFICIENT_DATA"]  # fmt: skip
    assert content["overall"]["truth"]["same"] == pytest.approx(sum(right) / len(right))


def from_lines(lines: list[dict[str, str]], symbol: str) -> BacktestHours:
    def row(line: dict[str, str]) -> tuple[int, int, float, int, float, float, int, int]:
        hour = (to_ms(line["hour_start"]) - JUDGED.start_ms) // HOUR_MS
        labels = [CLASSES.index(line[k]) if line[k] else ABSTAIN for k in ("true_label", "hindsight_label")]
        numbers = [float(line[k] or "nan") for k in ("close", "next_return_bps")]
        way = ("flat", "up", "down").index(line["direction"])
        return (hour, VERDICTS.index(line["verdict"]), float(line["confidence"]), way, *numbers, *labels)  # type: ignore[return-value]

    return replace(hours_of(ALFA, [row(line) for line in lines if line["symbol"] == symbol]), asked=len(JUDGED))


def check_same(part: dict[str, Any], figures: Figures) -> None:
    expected = leaves(json.loads(json.dumps(asdict(figures))))
    given = leaves(part)
    assert given.keys() == expected.keys()
    for path, value in given.items():
        assert value == (value if value is None else pytest.approx(expected[path], rel=1e-12)), path


def test_every_figure_of_the_page_is_that_of_the_json(found: Backtest) -> None:
    numbers = leaves(document(found))
    figures = Page(to_html(found).decode()).figures

    for path, shown in figures.items():
        for value, text in shown:
            assert value == ("" if numbers[path] is None else str(numbers[path])), path
            assert (text == NOTHING) == (numbers[path] is None), path
    unshown = {path for path in numbers if path.startswith(("overall/", "markets/"))} - figures.keys()
    assert {path.rpartition("/")[2] for path in unshown if "histogram" not in path} - UNSHOWN == {"hours"}
    assert all(path.endswith("/confidence/hours") for path in unshown if path.endswith("/hours"))


def test_printed_numbers_are_the_values_rounded(found: Backtest) -> None:
    figures = Page(to_html(found).decode()).figures

    for path, form in (
        ("markets/ALFA-USDT/verdicts/TREND/share", lambda v: f"{100 * v:.1f} %"),
        ("overall/hours", lambda v: f"{v:.0f}"),
        ("markets/BRAVO-USDT/returns/all/volatility_bps", lambda v: f"{v:.1f}"),
        ("overall/truth/kappa", lambda v: f"{v:.2f}"),
    ):
        value, text = figures[path][0]
        assert text == form(float(value))


def test_the_page_needs_nothing_but_itself(found: Backtest) -> None:
    text = to_html(found).decode()
    page = Page(text)

    markup = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    assert page.open == []
    assert page.tags["link"] == 1  # the empty icon
    assert page.tags["img"] == page.tags["iframe"] == 0
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= page.anchors
    assert not re.search(r"https?:|//[a-z]|\son\w+=", markup)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|\beval\(|new Function", text)
    assert page.tags["svg"] == 1 + 3 * 2 + 2
    assert "prefers-color-scheme: dark" in text


def test_only_the_pages_own_scripts_may_run_and_nothing_may_be_loaded(found: Backtest) -> None:
    text = to_html(found).decode()

    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]+)"', text)[0])
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 2
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert "MIT License" in scripts[1]  # of the vendored charts


def test_a_month_of_many_markets_stays_a_file_to_mail(found: Backtest) -> None:
    rng = np.random.default_rng(5)
    close = 60_000 + rng.normal(0, 300, MONTH).cumsum()
    names = [f"{letter}-USDT" for letter in "ABCDEFGHIJKL"]
    rows = [
        (at, 1 + at // 5 % 4, rng.random(), at % 3, close[at], 1.0, at // 9 % 3, at // 7 % 3) for at in range(MONTH)
    ]
    hours = tuple(hours_of(Market(name, "1h"), rows) for name in names)
    figures = measure(hours)
    many = replace(
        found,
        window=Window(START, START + MONTH * HOUR_MS),
        hours=hours,
        overall=figures,
        markets={name: measure([each]) for name, each in zip(names, hours, strict=True)},
    )

    size = len(to_html(many))

    assert len(names) == MARKETS
    assert size <= BUDGET["report_bytes"]
    print(f"{size:,} bytes")


def test_the_same_backtest_gives_the_same_bytes(folder: Path, found: Backtest) -> None:
    again = judged(folder, ["ALFA-USDT", "BRAVO-USDT"], workers=1)

    for render in (to_html, to_json, to_csv):
        assert render(found) == render(again)


def test_text_from_elsewhere_is_escaped(found: Backtest) -> None:
    bad = "<script>alert('&')</script>"
    hours = tuple(replace(each, policies=(bad,)) for each in found.hours)

    text = to_html(replace(found, notes=(bad,), hours=hours, markets={bad: found.markets["ALFA-USDT"]})).decode()

    assert Page(text).tags["script"] == 2  # the page's own
    assert text.count("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;") >= 5


@pytest.mark.postgres
def test_snapshots_and_database_give_the_same_backtest(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, [ALFA]) as workspace:
        run_stages(workspace, ALFA, [STORED])
        stored = run_backtest(VerdictRows(workspace.warehouse), ["ALFA-USDT"], *SPAN)

    computed = run_backtest(reader_of(tmp_path), ["ALFA-USDT"], *SPAN)

    assert len(stored.hours[0]) == len(JUDGED)
    assert to_csv(stored) == to_csv(computed)
    assert document(stored) == document(computed) | {"origin": "database"}
    assert to_html(stored) == to_html(computed).replace(b"snapshot files", b"the database")


@pytest.mark.parametrize("timeframe", ["15m", "4h"])
def test_other_timeframes(tmp_path: Path, timeframe: str) -> None:
    store_snapshots(tmp_path, ALFA.on(timeframe))

    found = judged(tmp_path, ["ALFA-USDT"], timeframe=timeframe)

    assert found.overall.hours == found.overall.asked == (len(JUDGED) if timeframe == "15m" else len(JUDGED) // 4)
    assert found.overall.returns["all"].bars == found.overall.hours - 1
    assert Page(to_html(found).decode()).open == []


def test_real_prices_have_no_truth_and_the_page_never_speaks_of_accuracy(folder: Path) -> None:
    found = run_backtest(reader_of(folder), ["ALFA-USDT"], *SPAN, seed=8)

    text = to_html(found).decode()
    assert found.overall.truth is None
    assert not re.search(r"(?<!Not )accuracy", text, re.IGNORECASE)
    assert "Agreement with hindsight" in text


def test_a_symbol_without_a_snapshot_stands_beside_the_others(folder: Path) -> None:
    found = judged(folder, ["ALFA-USDT", "NIX-USDT"])

    assert found.markets["NIX-USDT"].missing == len(JUDGED)
    assert found.notes == ("220 of 220 hours of NIX-USDT_1h have no snapshot.",)
    assert NOTHING in to_html(found).decode()


def test_what_a_reader_must_know_is_noted(folder: Path, found: Backtest) -> None:
    bare = replace(found.hours[0], close=found.hours[0].close * math.nan, policies=("a", "b"))

    assert _notes([bare], "database") == (
        "220 of 220 hours of ALFA-USDT_1h end without a bar.",
        "The verdicts come from 2 policies: a, b.",
    )


@pytest.mark.parametrize(
    ("symbols", "start", "end", "error", "said"),
    [
        (["NIX-USDT"], *SPAN, MissingDataError, "There is no verdict of NIX-USDT_1h from 2026-09-13T12:00:00Z"),
        (["ALFA-USDT"], "2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z", MissingDataError, "no verdict"),
        (["ALFA-USDT"], "2026-09-13T12:00:00", SPAN[1], UsageError, "has no offset"),
        (["ALFA-USDT"], SPAN[1], SPAN[0], UsageError, "No hour starts from"),
        (["ALFA-USDT"], "2026-09-13T12:10:00Z", "2026-09-13T12:50:00Z", UsageError, "No hour starts from"),
        ([" "], *SPAN, UsageError, "No symbol is named"),
        (["!!"], *SPAN, UsageError, "is not a symbol"),
    ],
)
def test_refusals(folder: Path, symbols: list[str], start: str, end: str, error: Any, said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        run_backtest(reader_of(folder), symbols, start, end)


def test_progress_is_reported_once_a_market(folder: Path) -> None:
    told: list[int] = []

    judged(folder, ["ALFA-USDT", "BRAVO-USDT", "NIX-USDT"], tell=lambda: told.append(1))

    assert len(told) == 3
