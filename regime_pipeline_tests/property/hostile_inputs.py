"""Hostile inputs: sound files with arbitrary damage, and the demand that reading them ends in a value or a sentence."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import hypothesis
import tomlkit
from hypothesis import strategies as st

from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.policy import PolicyError
from regime_pipeline.storage.snapshots.codec import content_hash, hash_of
from regime_pipeline_tests.conftest import SOAK

REFUSALS = (RegimeError, PolicyError)
LONGEST_S = 60
"""A reading that takes longer hangs: a thousand times what the slowest needs."""
NASTY = (
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"a=" + b"[" * 3_000,
    b"9" * 5_000,
    b"0x" + b"f" * 5_000,
    b"1e400",
    b"1e-400",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"-0.0",
    b"NaN",
    b"inf",
    b"1_000",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "١٢٣".encode(),
    b"2024-02-30T25:61:61Z",
    b"99999-01-01T00:00:00Z",
    b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59-23:59",
    b'"\\ud800"',
    b"../../../etc/passwd",
    b"\r",
    b"\n\n",
    b'"""',
    b"'",
    b",",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"!!python/object/apply:os.system",
)
"""What breaks parsers: depth, width, limits of numbers and dates, odd encodings."""
_VALUE = re.compile(rb"(?<=[=:,\[])\s*+[^\s,=\]\}]++")
"""A number or text of JSON, TOML or CSV."""
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([0, 1, -1, 2**53, 2**62, 253_402_300_800_000, 1e308, -0.0, 5e-324, 0.5])
    | st.text(max_size=8)
    | st.sampled_from(["", "ETH-USDT", "1h", "../x", "2024-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "9" * 40]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def fuzzed(examples: int) -> Callable[[Any], Any]:
    """The same examples in every run; `make faults` tries ten times as many, and others each time."""
    return hypothesis.settings(
        max_examples=examples * SOAK,
        derandomize=SOAK == 1,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


@st.composite
def damaged(draw: st.DrawFn, sound: Sequence[bytes]) -> bytes:
    """Bytes of a sound file with another value, or cut, overwritten and stuffed in places; or any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = bytearray(draw(st.sampled_from(sound)))
    values = [found.span() for found in _VALUE.finditer(data)] if draw(st.booleans()) else []
    if values:
        start, end = draw(st.sampled_from(values))
        data[start:end] = draw(st.sampled_from(NASTY))
        return bytes(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        stuffing = draw(st.sampled_from(NASTY) | st.binary(max_size=8))
        data[at : at + draw(st.integers(0, 30))] = stuffing
    return bytes(data)


@st.composite
def altered(draw: st.DrawFn, document: Any) -> Any:
    """A document of JSON with some values replaced, removed or doubled, each as likely as any other."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(_places(document))))
        document = _altered_at(draw, document, place)
    return document


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within a value, its own first."""
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*place, key))


def _altered_at(draw: st.DrawFn, value: Any, place: tuple[Any, ...]) -> Any:
    if not place:
        return draw(VALUES)
    copy, key = value.copy(), place[0]
    how = draw(st.sampled_from(["replace"] * 6 + ["remove", "double"])) if len(place) == 1 else "replace"
    if how == "remove":
        del copy[key]
    elif how == "double" and isinstance(copy, list):
        copy.insert(key, copy[key])
    else:
        copy[key] = _altered_at(draw, value[key], place[1:])
    return copy


def sealed(document: Any) -> Any:
    """The document with hashes that fit, so that its damage is looked at and not only found."""
    for make, place in ((content_hash, "metadata"), (_history_hash, "historical_data")):
        try:
            document[place]["sha256"] = make(document)
        except (TypeError, KeyError, AttributeError, ValueError):
            continue
    return document


def _history_hash(document: Any) -> str:
    return hash_of({name: value for name, value in document["historical_data"].items() if name != "sha256"})


def as_toml(document: Any) -> str:
    """The document as TOML, where TOML can say it."""
    try:
        return tomlkit.dumps(document).encode("utf-8", "replace").decode()
    except Exception:
        return "a = 1"


def read_or_refuse(read: Callable[[], object]) -> bool:
    """Whether the reading gave a value; all but a value or a refusal in words fails the test, and so does a hang."""

    def hang(_: int, frame: FrameType | None) -> None:
        raise AssertionError(f"reading hangs in {frame.f_code.co_qualname if frame else '?'}")

    before = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    said = None
    try:
        read()
    except REFUSALS as error:
        said = str(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert said is None or said.strip().encode("utf-8")  # whatever the input, the sentence can be printed
    return said is None
