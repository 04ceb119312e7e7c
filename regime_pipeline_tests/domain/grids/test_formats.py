"""Property 47: a grid goes through files, and into other bots' words, without losing a digit."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings

from regime_pipeline.domain.grids.config import GridConfig, GridConfigError
from regime_pipeline.domain.grids.formats import (
    from_json,
    from_toml,
    to_freqtrade,
    to_hummingbot,
    to_json,
    to_threecommas,
    to_toml,
)
from regime_pipeline.domain.grids.versions import History
from regime_pipeline_tests.domain.grids.factories import KEPT, SOUND_FIELDS, grid, history_of, sound_histories

CALLS = [(to_json, from_json), (to_toml, from_toml)]


@given(sound_histories())
@settings(max_examples=60, deadline=None)
def test_property_47_a_history_survives_both_formats_exactly(history: History) -> None:
    for write, read in CALLS:
        found = read(write(history))

        assert found == {history[0].symbol: history}
        assert [config.model_dump_json() for config in found[history[0].symbol]] == [
            config.model_dump_json() for config in history
        ]


def test_property_47_several_symbols_share_a_file_in_any_order() -> None:
    one, other = history_of({}, {"levels": 9}), history_of({"symbol": "BTC-USDT"})

    for write, read in CALLS:
        assert read(write([one[0], *other, one[1]])) == {"TEST-USDT": one, "BTC-USDT": other}


def test_property_47_bare_numbers_keep_every_digit() -> None:
    amount = "1000.010000000000000001"
    bare = json.dumps({"schema_version": 1, "grids": [{}]})
    exact = grid(allocation_quote=amount)

    assert from_json(to_json([exact]).replace(f'"{amount}"', amount))["TEST-USDT"][0].allocation_quote == Decimal(
        amount
    )
    assert from_toml(to_toml([exact]).replace(f'"{amount}"', amount))["TEST-USDT"][0] == exact
    assert tomllib.loads(to_toml([exact]))["grids"][0]["allocation_quote"] == amount
    with pytest.raises(GridConfigError, match=r"grids\[1\].symbol is missing"):
        from_json(bare)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "the text cannot be read"),
        ("[]", "must contain schema_version and grids, and nothing else"),
        ('{"schema_version": 1}', "must contain schema_version and grids"),
        ('{"schema_version": 2, "grids": []}', "schema_version = 2: must be 1"),
        ('{"schema_version": 1, "grids": {}}', "must be a list of tables"),
        ('{"schema_version": 1, "grids": [3]}', "must be a list of tables"),
    ],
)
def test_property_48_a_text_of_another_shape_is_refused(text: str, says: str) -> None:
    with pytest.raises(GridConfigError, match=says):
        from_json(text)


def test_property_48_faults_of_all_entries_are_named_with_their_place() -> None:
    first, second = (json.loads(to_json([config]))["grids"][0] for config in history_of({}, {"levels": 9}))
    text = json.dumps({"schema_version": 1, "grids": [first | {"levels": 0}, second | {"who": " "}]})

    with pytest.raises(GridConfigError) as raised:
        from_json(text)

    assert [fault.split(" ")[0] for fault in raised.value.faults] == ["grids[1].levels", "grids[2].who"]
    with pytest.raises(GridConfigError, match="cannot be read"):
        from_toml("[[grids]")


def hummingbot_prices(fields: dict[str, Any]) -> list[tuple[Decimal, Decimal]]:
    """Open and take-profit prices as Hummingbot's executor computes them (only spread and amount limit the count)."""
    start, end = fields["start_price"], fields["end_price"]
    reach = (end - start) / start
    count = int(reach / fields["min_spread_between_orders"])
    opens = [start + (end - start) * place / (count - 1) for place in range(count)]
    return [(price, price * (1 + fields["triple_barrier_config"]["take_profit"])) for price in opens]


@given(SOUND_FIELDS.map(lambda fields: fields | {"spacing": "arithmetic"}))
@settings(max_examples=40, deadline=None)
def test_property_47_hummingbot_buys_at_the_same_lines(fields: dict[str, Any]) -> None:
    config = GridConfig(**(fields | KEPT | {"limit_lower": fields["tick"]}))

    out = to_hummingbot(config, "binance")

    assert (out["trading_pair"], out["connector_name"]) == (config.symbol, "binance")
    assert out["limit_price"] < out["start_price"] <= out["end_price"]
    assert (out["total_amount_quote"], out["max_open_orders"]) == (config.allocation_quote, config.levels)
    prices = hummingbot_prices(out) if config.levels > 2 else []
    for (price, _), line in zip(prices, config.lines[:-1], strict=bool(prices)):
        assert abs(price - line) <= config.tick


def test_property_47_hummingbot_takes_profit_one_interval_higher() -> None:
    out = to_hummingbot(grid(), "binance")

    assert float(out["triple_barrier_config"]["take_profit"]) == pytest.approx(2 / 90)
    assert out["keep_position"] is True
    assert len(hummingbot_prices(out)) == 10
    with pytest.raises(GridConfigError, match="limit_lower = None: Hummingbot's limit_price"):
        to_hummingbot(grid(limit_lower=None), "binance")


def test_property_47_threecommas_counts_lines() -> None:
    out = to_threecommas(grid(limit_upper=None))

    assert (out["pair"], out["grids_quantity"], out["grid_type"]) == ("USDT_TEST", 11, "arithmetic")
    assert (out["quantity_per_grid"], out["order_currency_type"]) == (Decimal(100), "quote")
    assert (out["lower_stop_loss_enabled"], out["lower_stop_loss_price"]) == (True, Decimal(85))
    assert (out["upper_stop_loss_enabled"], out["upper_stop_loss_price"]) == (False, None)
    assert (out["lower_price"], out["upper_price"], out["is_enabled"]) == (Decimal(90), Decimal(110), True)


def test_property_47_freqtrade_gets_the_lines() -> None:
    config = grid()
    out = to_freqtrade(config)

    assert list(zip(out["entry_prices"], out["exit_prices"], strict=True)) == list(pairwise(config.lines))
    assert (out["pair_whitelist"], out["stake_currency"], out["stake_amount"]) == (["TEST/USDT"], "USDT", Decimal(100))
    assert out["max_entry_position_adjustment"] == 9
    assert float(out["stoploss"]) == pytest.approx(85 / 110 - 1)
    assert to_freqtrade(grid(limit_lower=None))["stoploss"] == Decimal("-0.99")
