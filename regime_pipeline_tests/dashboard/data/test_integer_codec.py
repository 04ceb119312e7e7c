"""Numbers and sentences as compact text, and back: exact, printable, and small."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser

from regime_pipeline.dashboard.data.factor_codec import pack_factors
from regime_pipeline.dashboard.data.integer_codec import ALPHABET, LAST, MISSING, REST, pack, printed
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.data.payload import market_payload, simplified
from regime_pipeline.dashboard.site.parts import script
from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED
from regime_pipeline.domain.factors import MET, OUTCOMES, Factor
from regime_pipeline_tests.dashboard.browser import opened
from regime_pipeline_tests.dashboard.factories import ALFA, site_rows
from regime_pipeline_tests.dashboard.real_markets import simulated_rows

NUMBERS = st.lists(st.one_of(st.integers(-(2**51), 2**51), st.none()), max_size=60)


def unpack(text: str) -> list[int | None]:
    """The inverse of `pack`, written from its description."""
    rests, _, above = text.partition(REST)
    high = iter(counts(above))
    found: list[int | None] = []
    value = 0
    for rest in counts(rests):
        if rest is None:
            found.append(None)
            continue
        folded = rest + (LAST * (next(high) or 0) if above else 0)
        value += -(folded + 1) // 2 if folded % 2 else folded // 2
        found.append(value)
    return found


def counts(text: str) -> list[int | None]:
    """Numbers that are not negative, as they stand."""
    found: list[int | None] = []
    number, unit = 0, 1
    for character in text:
        if character == MISSING:
            found.append(None)
            continue
        digit = ALPHABET.index(character)
        if digit >= LAST:
            number, unit = number + (digit - LAST) * unit, unit * (len(ALPHABET) - LAST)
            continue
        found.append(number + digit * unit)
        number, unit = 0, 1
    return found


@given(NUMBERS)
def test_numbers_come_back(numbers: list[int | None]) -> None:
    text = pack(np.array([np.nan if number is None else number for number in numbers], dtype=np.float64))

    assert unpack(text) == numbers
    assert re.fullmatch(r"[ -~]*", text)
    assert not set(text) & set('<\\"')


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.integers(0, 8))
def test_numbers_are_rounded_as_printing_rounds_them(values: list[float], decimals: int) -> None:
    found = printed(np.array(values), decimals).tolist()

    assert [number / 10**decimals for number in found] == [float(f"{value:.{decimals}f}") for value in values]


def test_small_steps_cost_one_character() -> None:
    assert len(pack(np.cumsum(np.tile([29, -30, 0, 1], 250)))) == 1000


def restored(packed: list[dict[str, Any]], columns: dict[str, Any], hours: int) -> list[list[tuple[str, ...]]]:
    """Outcome and sentence of every rule and hour, read back as `static/codec.js` does."""
    found: list[list[tuple[str, ...]]] = [[] for _ in range(hours)]
    for rule in packed:
        kept = [[iter(numbers_of(each)) for each in all_of] for all_of in rule["numbers"]]
        for hour, at in enumerate(unpack(rule["template"])):
            if at is not None:
                parts = [next(text) for text in kept[at]]
                sentence = filled(
                    rule["templates"][at], {name: f"{column[hour]:.1f}" for name, column in columns.items()}, parts
                )
                found[hour].append((rule["rule"], OUTCOMES[rule["outcomes"][at]], sentence))
    return found


def numbers_of(kept: dict[str, Any]) -> list[str]:
    """Numbers of sentences as they were printed."""
    if "text" in kept:
        return str(kept["text"]).split(" ")
    return [
        f"{value / 10 ** kept['decimals']:.{kept['decimals']}f}" for value in unpack(kept["data"]) if value is not None
    ]


def filled(template: str, named: dict[str, str], parts: list[str]) -> str:
    """The template with its named and its empty holes filled, in order."""
    rest = iter(parts)
    return re.sub(r"\{(\w*)\}", lambda hole: named[hole[1]] if hole[1] else next(rest), template)


def as_stored(rows: MarketRows) -> list[list[tuple[str, ...]]]:
    return [[(f.rule, f.outcome, f.sentence) for f in factors] for factors in rows.documents("factors")]


@pytest.mark.parametrize("which", ["made up", "as the chain words them"])
def test_every_sentence_comes_back(which: str) -> None:
    rows = site_rows()[0] if which == "made up" else simulated_rows(ALFA, days=20)
    columns = {name: rows.on_calendar(name) for name in ("trend_score", "mean_rev_score")}

    packed = pack_factors(rows.documents("factors"), columns)

    assert restored(packed, columns, len(rows)) == as_stored(rows)
    documents = [[factor.document() for factor in hour] for hour in rows.documents("factors")]
    assert len(json.dumps(packed)) < len(json.dumps(documents)) / 4


def test_numbers_that_are_printed_unevenly_stay_as_they_are() -> None:
    values = (1.5, -0.0, 1e20, 12.0)
    factors = [[Factor("R", {"x": value}, None, None, MET, "It is {x:.3g}.")] for value in values]

    packed = pack_factors(factors, {})

    assert packed[0]["numbers"] == [[{"text": "1.5 -0 1e+20 12"}]]
    assert [found[0][2] for found in restored(packed, {}, 4)] == [factor[0].sentence for factor in factors]


@pytest.mark.parametrize("timeframe", ["1m", "1h"])
def test_the_page_reads_every_sentence_and_number_as_stored(chromium: Browser, http: str, timeframe: str) -> None:
    rows = simulated_rows(ALFA.on(timeframe), days=20)
    with opened(chromium) as visit:
        page = visit(f"{http}{ALFA.key}.html")
        page.evaluate(script(market_payload(rows)).decode())
        told = page.evaluate(
            """() => { const model = readPayload(window.REGIME);
            return [model.close, model.columns.trend_score.values, model.columns.range_low.values,
              model.columns.close.values, model.hourStarts.map((_, hour) => label(model, "candle_regime", hour)),
              model.hourStarts.map((_, hour) => factorsOf(model, hour).map((f) => [f.outcome, f.sentence]))]; }"""
        )

    closes, trend, low, hourly, regimes, factors = told
    if timeframe == "1h":
        assert [close for close in closes if close is not None] == rows.bars.prices("close").tolist()
    assert trend == [None if v != v else float(f"{v:.1f}") for v in rows.on_calendar("trend_score").tolist()]
    assert low == [None if v != v else float(f"{v:.2f}") for v in rows.on_calendar("range_low").tolist()]
    assert market_payload(rows)["columns"]["close"]["of"] == "bars"
    assert hourly == [None if v != v else v for v in rows.on_calendar("close").tolist()]
    known = simplified(rows.on_calendar("candle_state"))
    assert regimes == [None if np.isnan(code) else SIMPLIFIED[int(code)] for code in known]
    assert [[tuple(f) for f in hour] for hour in factors] == [[f[1:] for f in hour] for hour in as_stored(rows)]


def test_a_payload_cannot_leave_its_script() -> None:
    text = script({"text": "</script><script>alert(1)</script>\u2028\u2029 &"}).decode()

    assert "<" not in text
    assert json.loads(text.removeprefix("window.REGIME=").rstrip(";\n")) == {
        "text": "</script><script>alert(1)</script>\u2028\u2029 &"
    }
