"""Tests of `services.last_good_markets`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.services.last_good_markets import kept_copy, load_last_good
from regime_pipeline.settings import Settings

SPAN = "[partitions]\nstart = 2020-02-01T00:00:00Z\n"
BTC = '[[markets]]\nsymbol = "BTCUSDT"\ntimeframes = ["1m", "1h"]\nsource = "files"\n'
ETH = BTC.replace("BTC", "ETH")


def new_home(folder: Path) -> tuple[Path, Path]:
    """A markets file to be written, and an empty home."""
    home = folder / "home"
    home.mkdir()
    return folder / "markets.toml", home


@pytest.mark.parametrize(
    "broken", ["[[markets]\n", SPAN + BTC + BTC, BTC, SPAN + BTC.replace("1h", "7h"), "\0", ""], ids=repr
)
def test_a_broken_list_leaves_the_last_sound_one_in_force_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    path, home = new_home(tmp_path)
    path.write_text(SPAN + BTC, "utf-8")
    sound = load_last_good(path, home)
    path.write_text(broken, "utf-8")

    with caplog.at_level(logging.WARNING):
        assert load_last_good(path, home) == sound

    assert str(path) in caplog.text
    assert "goes on with the last list that was sound" in caplog.text


def test_a_mended_list_is_taken_up_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, home = new_home(tmp_path)
    for text in (SPAN + BTC, "broken", SPAN + BTC + ETH):
        path.write_text(text, "utf-8")
        found = load_last_good(path, home)
    caplog.clear()

    assert [str(market) for market in found.markets] == ["BTC-USDT_1m", "BTC-USDT_1h", "ETH-USDT_1m", "ETH-USDT_1h"]
    path.write_text("broken again", "utf-8")
    assert load_last_good(path, home) == found
    assert [each.name for each in (home / "last-good").iterdir()] == [kept_copy(path, home).name]


def test_nothing_takes_the_place_of_a_list_that_never_was_sound_or_is_gone(tmp_path: Path) -> None:
    path, home = new_home(tmp_path)
    path.write_text("broken", "utf-8")
    with pytest.raises(UsageError, match="not a markets file"):
        load_last_good(path, home)
    path.write_text(SPAN + BTC, "utf-8")
    load_last_good(path, home)

    other = tmp_path / "other.toml"
    other.write_text("broken", "utf-8")
    with pytest.raises(UsageError, match=r"other\.toml is not a markets file"):
        load_last_good(other, home)
    path.unlink()
    with pytest.raises(UsageError, match="There is no markets file"):
        load_last_good(path, home)


@pytest.mark.parametrize("make", [Path.touch, lambda home: None], ids=["a file in its place", "no home yet"])
def test_a_home_that_cannot_be_written_to_keeps_no_copy(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path, home = tmp_path / "markets.toml", tmp_path / "home"
    path.write_text(SPAN + BTC, "utf-8")
    make(home)

    assert len(load_last_good(path, home).markets) == 2
    assert not kept_copy(path, home).exists()


def test_the_code_location_loads_with_the_last_sound_list(tmp_path: Path) -> None:
    path, home = new_home(tmp_path)
    settings = Settings(home=home, markets=path)
    path.write_text(SPAN + BTC, "utf-8")
    first = build_definitions(settings)
    path.write_text("[[markets", "utf-8")

    assert build_definitions(settings).resolve_asset_graph().get_all_asset_keys() == (
        first.resolve_asset_graph().get_all_asset_keys()
    )
    path.unlink()
    with pytest.raises(UsageError, match="There is no markets file"):
        build_definitions(settings)
