"""Properties 39, 41, 43 and 48: what a grid's configuration captures, accepts and refuses, and how it says so."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.grids.config import GridConfig, GridConfigError
from regime_pipeline.domain.grids.config_rules import net_gain, tick_lines
from regime_pipeline_tests.domain.grids.factories import FIELDS, KEPT, SOUND_FIELDS, grid

REQUIRED = sorted((FIELDS | KEPT).keys() - {"limit_lower", "limit_upper", "supersedes"})


def refusal(**update: Any) -> tuple[str, ...]:
    with pytest.raises(GridConfigError) as raised:
        grid(**update)
    assert all(fault in str(raised.value) for fault in raised.value.faults)
    return raised.value.faults


@given(SOUND_FIELDS)
@settings(max_examples=60, deadline=None)
def test_property_39_every_parameter_is_captured_typed_and_in_range(fields: dict[str, Any]) -> None:
    config = GridConfig(**(fields | KEPT))

    assert {name: getattr(config, name) for name in fields} == fields
    assert {name: getattr(config, name) for name in KEPT} == KEPT
    decimals = ("tick", "lower", "upper", "min_notional", "allocation_quote", "maker_fee_bps", "taker_fee_bps")
    assert all(type(getattr(config, name)) is Decimal for name in decimals)
    assert config.valid_from.tzinfo is UTC
    assert 0 < config.lower < config.upper
    assert all((Fraction(price) / Fraction(config.tick)).denominator == 1 for price in (config.lower, config.upper))
    assert config.allocation_quote >= config.levels * config.min_notional
    assert min(config.net_gains_bps) > 0


@pytest.mark.parametrize("name", REQUIRED)
def test_property_39_nothing_may_be_missing(name: str) -> None:
    values = FIELDS | KEPT
    del values[name]

    with pytest.raises(GridConfigError, match=f"{name} is missing"):
        GridConfig(**values)


REFUSED = [
    ("symbol", "?", "'?' is not a symbol"),
    ("enabled", 1, "valid boolean"),
    ("tick", "0", "must be above 0"),
    ("tick", "-0.01", "must be above 0"),
    ("tick", True, "must be a number"),
    ("tick", "1e-60", "at most 16 digits before the point and 18 after it"),
    ("tick", "0.0000000000000000005", "at most 18 digits after the point"),
    ("lower", "0", "must be above 0"),
    ("lower", "90.005", "must be a multiple of tick = 0.01"),
    ("lower", "NaN", "finite"),
    ("lower", [], "must be a number"),
    ("lower", "1e16", "at most 16 digits"),
    ("upper", "90", "must be above lower = 90"),
    ("upper", "110.001", "must be a multiple of tick = 0.01"),
    ("upper", "99999999999999.99", "must not exceed 1125899906842624 ticks"),
    ("levels", 1, "must lie in 2..1000"),
    ("levels", 1001, "must lie in 2..1000"),
    ("levels", 4.0, "valid integer"),
    ("spacing", "fibonacci", "'arithmetic' or 'geometric'"),
    ("limit_lower", "90", "must be below lower = 90"),
    ("limit_lower", "0", "must be above 0"),
    ("limit_upper", "110", "must be above upper = 110"),
    ("limit_upper", "120.001", "must be a multiple of tick = 0.01"),
    ("min_notional", "0", "must be above 0"),
    ("allocation_quote", "49.99", "must be at least levels x min_notional = 50"),
    ("allocation_quote", "0", "must be above 0"),
    ("taker_fee_bps", "-1", "must lie in 0..100"),
    ("maker_fee_bps", "100.1", "must lie in 0..100"),
    ("maker_fee_bps", "92", "bps net per round trip at the worst level; must be above 0"),
    ("version", 0, "must be at least 1"),
    ("supersedes", 1, "must be None for version = 1"),
    ("valid_from", "2026-01-01T00:00:00", "has no offset"),
    ("valid_from", "soon", "is not a time"),
    ("valid_from", 5, "must be a time with an offset"),
    ("reason", " ", "must not be blank"),
    ("reason", "a\nb", "must be printable"),
    ("who", "", "must not be blank"),
    ("who", "x" * 501, "must have at most 500 characters"),
    ("colour", "red", "not permitted"),
]


@pytest.mark.parametrize(("field", "value", "bound"), REFUSED)
def test_property_41_a_value_out_of_bounds_is_refused_with_field_value_and_bound(
    field: str, value: Any, bound: str
) -> None:
    faults = refusal(**{field: value})

    printed = format(value, "f") if isinstance(value, Decimal) else repr(value)
    assert any(fault.startswith(f"{field} = {printed[:40]}") and bound in fault for fault in faults), faults


@pytest.mark.parametrize(("field", "least", "most"), [("levels", 2, 4), ("maker_fee_bps", "0", "90")])
def test_property_41_the_bounds_themselves_are_accepted(field: str, least: Any, most: Any) -> None:
    assert grid(**{field: least}).version == 1
    assert grid(**{field: most}).version == 1


def test_property_41_an_interval_narrower_than_a_tick_is_refused() -> None:
    faults = refusal(tick="5", levels=5, limit_lower=None, maker_fee_bps="0")

    assert faults == (
        "spacing = 'arithmetic': with levels = 5 the narrowest interval has 0.8 ticks; must be at least 1",
    )
    assert refusal(tick="5", levels=4, spacing="geometric", limit_lower=None)[0].startswith("spacing = 'geometric'")
    assert grid(tick="5", levels=4, limit_lower=None, maker_fee_bps="0").line_ticks == (18, 19, 20, 21, 22)


def test_property_41_a_version_after_the_first_names_the_one_before() -> None:
    assert grid(version=3, supersedes=2).supersedes == 2
    assert refusal(version=3) == ("supersedes = None: must be 2 for version = 3",)


@given(st.sets(st.sampled_from([(f, v, b) for f, v, b in REFUSED if isinstance(v, str)]), min_size=2, max_size=9))
@settings(max_examples=60, deadline=None)
def test_property_48_all_faults_are_named_at_once(chosen: set[tuple[str, Any, str]]) -> None:
    wrong = {field: (value, bound) for field, value, bound in chosen}

    faults = refusal(**{field: value for field, (value, _) in wrong.items()})

    named = {fault.split(" ")[0] for fault in faults}
    assert all(field in named or _hangs_on_another(field, value, wrong) for field, (value, _) in wrong.items())
    assert len({fault.split(" ")[0] for fault in faults}) == len(faults)


def _hangs_on_another(field: str, value: str, wrong: dict[str, Any]) -> bool:
    """A bound given by another field cannot be checked while that field is wrong itself."""
    givers = {
        "lower": {"tick"},
        "upper": {"tick", "lower"},
        "limit_lower": {"tick", "lower"},
        "limit_upper": {"tick", "upper"},
        "allocation_quote": {"levels", "min_notional"},
        "maker_fee_bps": {"tick", "lower", "upper", "levels", "spacing"},
    }
    return bool(givers.get(field, set()) & wrong.keys()) and value not in ("0", "NaN", "1e16", "100.1")


def test_property_48_a_refusal_crosses_process_borders_whole() -> None:
    with pytest.raises(GridConfigError) as raised:
        grid(levels=0, who="")

    copy = pickle.loads(pickle.dumps(raised.value))

    assert (str(copy), copy.faults, copy.todo) == (str(raised.value), raised.value.faults, raised.value.todo)
    assert len(copy.faults) == 2


def test_a_configuration_is_frozen_and_spelled_one_way() -> None:
    config = grid(symbol="testusdt", lower="90.00", upper=110, tick=0.01, taker_fee_bps="0e-9")

    with pytest.raises(ValueError, match="frozen"):
        config.levels = 3  # type: ignore[misc]
    assert config == grid(taker_fee_bps="0")
    assert str(config.lower) == "90"
    assert str(config) == "grid of TEST-USDT, version 1 from 2026-01-01T00:00:00Z"


def test_a_time_is_held_in_utc_to_the_millisecond() -> None:
    eastern = timezone(timedelta(hours=5))
    config = grid(valid_from=datetime(2026, 1, 1, 5, 0, 0, 1_000, tzinfo=eastern))

    assert config.valid_from == datetime(2026, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC)
    assert config == grid(valid_from="2026-01-01T00:00:00.001Z")


@given(SOUND_FIELDS)
@settings(max_examples=60, deadline=None)
def test_property_43_lines_are_the_nearest_ticks_of_the_exact_lines(fields: dict[str, Any]) -> None:
    config = GridConfig(**(fields | KEPT))
    lines, (low, high), count = config.line_ticks, config.edge_ticks, config.levels

    assert (lines[0], lines[-1], len(lines)) == (low, high, count + 1)
    assert all(a < b for a, b in pairwise(lines))
    assert config.lines == tuple(line * config.tick for line in lines)
    for place, line in enumerate(lines):
        if config.spacing == "geometric":  # (line - 1/2)^k <= low^(k-i) high^i < (line + 1/2)^k, in integers
            exact = 2**count * low ** (count - place) * high**place
            assert (2 * line - 1) ** count <= exact < (2 * line + 1) ** count
        else:
            assert abs(Fraction(low * (count - place) + high * place, count) - line) <= Fraction(1, 2)


@given(SOUND_FIELDS)
@settings(max_examples=40, deadline=None)
def test_property_43_each_level_earns_what_its_two_fills_leave(fields: dict[str, Any]) -> None:
    config = GridConfig(**(fields | KEPT))
    fee = Fraction(config.maker_fee_bps) / 10_000

    for gain, (buy, sell) in zip(config.net_gains_bps, pairwise(config.lines), strict=True):
        base = (1 - fee) / Fraction(buy)  # one unit of quote buys this much base after the fee
        assert gain == pytest.approx(float((base * Fraction(sell) * (1 - fee) - 1) * 10_000), rel=1e-12, abs=1e-9)


def test_property_43_the_worst_level_of_equal_differences_is_the_top() -> None:
    gains = grid().net_gains_bps

    assert min(gains) == gains[-1] == pytest.approx((110 / 108 * 0.999**2 - 1) * 1e4)


def test_property_43_equal_ratios_earn_the_same_everywhere() -> None:
    gain = float(net_gain(100_000, 110_000, Fraction(1, 1_000)))

    assert tick_lines(100_000, 121_000, 2, "geometric") == (100_000, 110_000, 121_000)
    assert gain == pytest.approx(1.1 * 0.999**2 - 1)
    assert net_gain(100_000, 110_000, Fraction(1, 1_000)) == net_gain(110_000, 121_000, Fraction(1, 1_000))
