"""Strict reading: each fault is named, and all of them at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from regime_pipeline.domain.errors import BadSnapshotError
from regime_pipeline.storage.snapshots.codec import content_hash, encode
from regime_pipeline.storage.snapshots.validation import decode, from_document, parse
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.storage.snapshots.factories import HOURLY, MINUTES, assert_same_candles, hour_of

Change = Callable[[dict[str, Any]], object]


def document_of(market: Any = MINUTES) -> dict[str, Any]:
    return dict(json.loads(encode(hour_of(market))))


def faults_after(*changes: Change, rehash: bool = False) -> str:
    document = document_of()
    for change in changes:
        change(document)
    if rehash:
        document["metadata"]["sha256"] = content_hash(document)
    with pytest.raises(BadSnapshotError) as caught:
        from_document(document, "2020/03/12/00/ETH-USDT_1m.json")
    assert caught.value.what.startswith("2020/03/12/00/ETH-USDT_1m.json: ")
    assert caught.value.todo
    return caught.value.what


FAULTS: list[tuple[Change, str]] = [
    *((lambda d, n=name: d.pop(n), f"missing field {name}") for name in ("symbol", "timeframe", "hour_start", "bars")),
    (lambda d: d.pop("schema_version"), "missing field schema_version"),
    (lambda d: d.pop("market_summary"), "missing field market_summary"),
    (lambda d: d.pop("metadata"), "missing field metadata"),
    (lambda d: d["metadata"].pop("status"), "missing field metadata.status"),
    (lambda d: d["market_summary"].pop("volume"), "missing field market_summary.volume"),
    (lambda d: d.update(note="x"), "unknown field note"),
    (lambda d: d["metadata"].update(note="x"), "unknown field metadata.note"),
    (lambda d: d.update(price_scale="100"), "price_scale is '100': input should be a valid integer"),
    (lambda d: d.update(price_scale=0), "price_scale is 0: input should be greater than or equal to 1"),
    (lambda d: d.update(schema_version="1"), "schema_version is '1'"),
    (lambda d: d.update(bars={}), "bars is {}: input should be a valid list"),
    (lambda d: d["bars"][3].__setitem__(1, 200.5), "bars.3.1 is 200.5: input should be a valid integer"),
    (lambda d: d["bars"][3].__setitem__(1, True), "bars.3.1 is True: input should be a valid integer"),
    (lambda d: d["bars"][3].__setitem__(5, "1"), "bars.3.5 is '1': input should be a valid number"),
    (lambda d: d["bars"][3].__setitem__(5, -1.0), "bars.3.5 is -1.0: input should be greater than or equal to 0"),
    (lambda d: d["bars"][3].pop(), "missing field bars.3.5"),
    (lambda d: d["bars"][3].__setitem__(2, 1), "candle 2020-03-12T00:03:00Z (row 3): high is below another price"),
    (lambda d: d["bars"].reverse(), "row 1): not after the candle before it"),
    (lambda d: d["bars"].append(d["bars"][-1]), "row 60): not after the candle before it"),
    (lambda d: d["bars"].pop(7), "1 of 60 bars are missing: 00:07"),
    (lambda d: d["bars"].pop(7), "metadata.present is 60, the bars say 59"),
    (
        lambda d: d["bars"].pop(7),
        "metadata.gaps is [], the bars say [('2020-03-12T00:07:00Z', '2020-03-12T00:08:00Z')]",
    ),
    (lambda d: d["bars"].clear(), "market_summary is open="),
    (lambda d: d.update(hour_start="2020-03-12T01:00:00Z"), "bar 2020-03-12T00:59:00Z does not close in the hour"),
    (lambda d: d.update(hour_start="2020-03-12T00:30:00Z"), "hour_start 2020-03-12T00:30:00Z is not a full hour"),
    (lambda d: d.update(hour_start="2020-03-12T00:00:00"), "The time '2020-03-12T00:00:00' has no offset"),
    (lambda d: d.update(hour_start="noon"), "'noon' is not a time"),
    (lambda d: d.update(symbol="../../etc"), "'../../etc' is not a symbol"),
    (lambda d: d.update(timeframe="6h"), "'6h' is not a timeframe"),
    (lambda d: d.update(timeframe="5m"), "is not a multiple of 5m"),
    (lambda d: d["metadata"].update(status="ok"), "metadata.status is 'ok'"),
    (lambda d: d["metadata"].update(status="missing"), "status is 'missing', yet no bar is absent"),
    (lambda d: d["metadata"].update(expected=59), "metadata.expected is 59, the bars say 60"),
    (lambda d: d["metadata"].update(collected_at="now"), "'now' is not a time"),
    (lambda d: d["metadata"].update(sha256="12"), "metadata.sha256 is '12'"),
    (lambda d: d["market_summary"].update(close=1), "market_summary.close is 1, the bars say"),
    (lambda d: d.update(market_summary=None), "market_summary is null, the bars say"),
    (lambda d: d["metadata"].update(source="other"), "the hash does not match"),
]


@pytest.mark.parametrize(("change", "fault"), FAULTS, ids=[fault[:60] for _, fault in FAULTS])
def test_a_fault_is_named(change: Change, fault: str) -> None:
    assert fault in faults_after(change)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda d: d["bars"].pop(7), "00:07"),
        (lambda d: d["market_summary"].update(high=1), "market_summary.high is 1"),
        (lambda d: d["metadata"].update(expected=59), "metadata.expected is 59"),
    ],
)
def test_a_right_hash_excuses_no_contradiction(change: Change, fault: str) -> None:
    faults = faults_after(change, rehash=True)

    assert fault in faults
    assert "hash" not in faults


def test_all_faults_are_named_at_once() -> None:
    faults = faults_after(
        lambda d: d.pop("market_summary"),
        lambda d: d["metadata"].pop("config_hash"),
        lambda d: d["bars"].pop(7),
        lambda d: d["bars"].pop(20),
        lambda d: d.update(note="x", price_scale=1.5),
    )

    for fault in (
        "missing field market_summary",
        "missing field metadata.config_hash",
        "2 of 60 bars are missing: 00:07, 00:21",
        "unknown field note",
        "price_scale is 1.5",
    ):
        assert fault in faults


def test_a_long_wrong_value_is_shortened() -> None:
    assert "price_scale is 'xxxxxx" in (faults := faults_after(lambda d: d.update(price_scale="x" * 5000)))
    assert len(faults) < 500


def test_an_unknown_schema_version_is_said_alone() -> None:
    with pytest.raises(BadSnapshotError) as caught:
        from_document({"schema_version": 2, "prices": []})

    assert caught.value.what == "the snapshot: schema version 2 is unknown."


@pytest.mark.parametrize(
    ("data", "fault"), [(b"", "not JSON"), (b'{"bars":[', "not JSON"), (b"\xff\x00", "not JSON"), (b"[]", "no")]
)
def test_bytes_must_hold_an_object(data: bytes, fault: str) -> None:
    with pytest.raises(BadSnapshotError, match=fault):
        parse(data)


def test_every_truncation_is_noticed() -> None:
    data = encode(hour_of(HOURLY))

    for length in range(len(data)):
        with pytest.raises(BadSnapshotError):
            decode(data[:length])


def test_every_changed_digit_of_the_content_is_noticed() -> None:
    data = encode(hour_of(HOURLY))
    end = data.index(b'"collected_at"')
    digits = [at for at in range(end) if chr(data[at]).isdigit()]
    assert len(digits) > 100

    for at in digits:
        other = b"1" if data[at : at + 1] != b"1" else b"2"
        with pytest.raises(BadSnapshotError):
            decode(data[:at] + other + data[at + 1 :])


def test_an_old_file_without_a_price_scale_means_hundredths() -> None:
    document = document_of(HOURLY)
    del document["price_scale"]
    document["metadata"]["sha256"] = content_hash(document)

    snapshot = from_document(document)

    assert_same_candles(snapshot.bars, hour_of(HOURLY).bars)
    assert snapshot.price_scale == 100


def test_old_symbols_are_read() -> None:
    document = document_of(HOURLY)
    document["symbol"] = "ETHUSDT"
    document["metadata"]["sha256"] = content_hash(document)

    assert from_document(document).market == HOURLY


def test_the_example_of_the_documentation_is_sound() -> None:
    page = (REPOSITORY / "docs" / "storage.md").read_text("utf-8")

    snapshot = decode(page.split("```json\n")[1].split("```")[0].encode())

    assert (str(snapshot.market), snapshot.status, snapshot.present) == ("ETH-USDT_15m", "exchange_gap", 3)
