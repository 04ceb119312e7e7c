"""Files that lie where the package expects its own: stored snapshots, lists that imports append to, null tables."""

from __future__ import annotations

import json
import tomllib
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given

from regime_pipeline.domain.errors import BadSnapshotError, UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.null_table import NULL_TABLE_PATH, load_null_table
from regime_pipeline.services.universe import MarketSpec, ensure_market, load_universe
from regime_pipeline.storage.snapshots.codec import encode
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.property.hostile_inputs import altered, as_toml, damaged, fuzzed, read_or_refuse, sealed
from regime_pipeline_tests.storage.snapshots.factories import HOURLY, START, hour_of

SOUND = encode(hour_of(HOURLY))
MARKETS = (REPOSITORY / "markets.toml").read_bytes()
NEW = MarketSpec(Market("NEW-USDT", "1m"), "files", 1_000)
NULLS = NULL_TABLE_PATH.read_bytes()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SnapshotStore:
    made = SnapshotStore(str(tmp_path_factory.mktemp("snapshots")))
    made.write([hour_of(HOURLY)])
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@fuzzed(200)
@given(altered(json.loads(SOUND)).map(sealed).map(lambda d: json.dumps(d).encode()) | damaged([SOUND]))
def test_any_stored_snapshot(store: SnapshotStore, data: bytes) -> None:
    (file,) = Path(store.root).rglob("*.json")
    file.write_bytes(data)
    span = (START, START + HOUR_MS)
    strictly = read_or_refuse(lambda: store.load(HOURLY, START))
    quickly = read_or_refuse(lambda: store.read_candles(HOURLY, *span))
    assert strictly <= quickly  # the short cut may not refuse what the strict way takes
    for moment in (None, START, START + 10**12):
        read_or_refuse(partial(store.load, HOURLY, START, moment))
        read_or_refuse(partial(store.read_candles, HOURLY, *span, moment))
        read_or_refuse(partial(store.read_statuses, HOURLY, Window(*span), moment))


@fuzzed(100)
@given(
    altered(tomllib.loads(MARKETS.decode())).map(lambda d: as_toml(d).encode("utf-8", "replace")) | damaged([MARKETS])
)
def test_any_list_of_markets_is_appended_to_or_left_alone(folder: Path, data: bytes) -> None:
    path = folder / "markets.toml"
    path.write_bytes(data)
    span = (START, START + HOUR_MS)
    if read_or_refuse(lambda: ensure_market(path, NEW, span)):
        assert load_universe(path).markets[-1] == NEW.market
    else:
        assert path.read_bytes() == data


@fuzzed(60)
@given(damaged([NULLS]))
def test_any_null_table(folder: Path, data: bytes) -> None:
    path = folder / "nulls.json"
    path.write_bytes(data)
    read_or_refuse(lambda: load_null_table(path))


SPAN = "[partitions]\nstart = 2024-01-01T00:00:00Z\n"
INLINE = '{symbol = "A-USDT", timeframes = ["1m"], source = "files"}'


@pytest.mark.parametrize(
    "text", [f"markets = [{INLINE}]\n{SPAN}", f"markets = [\n{INLINE},\n]\n{SPAN}", "= 1", "a = \x00"]
)
def test_a_list_that_cannot_be_edited_is_left_alone(folder: Path, text: str) -> None:
    """Inline tables used to be written back as no TOML; a file that is none ended in tomlkit's own exception."""
    path = folder / "markets.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=r"cannot be edited: .* as a table \[\[markets\]\]|is not a markets file"):
        ensure_market(path, NEW, (START, START + HOUR_MS))
    assert path.read_text("utf-8") == text


def test_an_empty_list_is_added_to(folder: Path) -> None:
    path = folder / "markets.toml"
    path.write_text(f"markets = []\n{SPAN}", "utf-8")
    assert ensure_market(path, NEW, (START, START + HOUR_MS))
    assert load_universe(path).markets == (NEW.market,)


@pytest.mark.parametrize("volume", [[1.0, 2.0], [[1.0]], {}, "1", None, True])
def test_a_volume_that_is_not_a_number_is_refused(store: SnapshotStore, volume: object) -> None:
    """A list used to become a second dimension, and then an IndexError."""
    document = json.loads(SOUND)
    document["bars"][0][5] = volume
    (file,) = Path(store.root).rglob("*.json")
    file.write_bytes(json.dumps(sealed(document)).encode())
    with pytest.raises(BadSnapshotError, match=r"bars\.0\.5|bars"):
        store.read_candles(HOURLY, START, START + HOUR_MS)


@pytest.mark.parametrize("collected_at", [5, None, [], {}, True, 1.5, "x", "2020-01-01"])
def test_the_one_field_without_a_hash_is_checked_when_it_is_needed(store: SnapshotStore, collected_at: object) -> None:
    """A collected_at that is not text used to end in an AttributeError when an earlier state was asked for."""
    document = json.loads(SOUND)
    document["metadata"]["collected_at"] = collected_at
    (file,) = Path(store.root).rglob("*.json")
    file.write_bytes(json.dumps(document).encode())
    with pytest.raises(BadSnapshotError, match="ETH-USDT_1h"):
        store.read_candles(HOURLY, START, START + HOUR_MS, START)
