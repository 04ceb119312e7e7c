"""Candle regimes as answers: rows as JSON objects, the same by column and as Arrow, each cut out of one read.

See `regime_cache` for how long a read is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from regime_pipeline import __version__
from regime_pipeline.api.formats import Format, arrow_labels, arrow_numbers, arrow_stream, arrow_times
from regime_pipeline.domain.candle_regimes.states import COLORS, REGIME_STATES, RegimeState
from regime_pipeline.domain.known_at import bar_known_at
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.services.queries.candle_regimes import RegimeQuestion, RegimeSeries, source_of
from regime_pipeline.storage.bulk.regime_reads import ReadVersion

_PER_UNIT: Final = 10_000
"""Confidences have four decimals: so many steps from 0 to 1."""


def _texts_of(state: RegimeState) -> dict[str, str]:
    return {
        "regime": state.simplified_regime,
        "full_regime": state.full_regime,
        "trend_state": state.trend_state,
        "volatility_state": state.volatility_state,
        "momentum_state": state.momentum_state,
        "color": COLORS[state.simplified_regime],
    }


def _codes_of(name: str) -> tuple[NDArray[np.int8], list[str]]:
    """The code of a text by state, and the texts by code."""
    categories = list(dict.fromkeys(texts[name] for texts in _TEXTS))
    return np.array([categories.index(texts[name]) for texts in _TEXTS], dtype=np.int8), categories


def _padded_texts(name: str) -> NDArray[np.bytes_]:
    """A text by state, quoted and with a comma, all of one length: blanks, of which they have none, are taken out."""
    quoted = [orjson.dumps(texts[name]) + b"," for texts in _TEXTS]
    return np.array([text.ljust(max(map(len, quoted))) for text in quoted])


_TEXTS: Final = [_texts_of(state) for state in REGIME_STATES]
_MIDDLES: Final = [b"," + orjson.dumps(texts)[1:-1] + b',"confidence":' for texts in _TEXTS]
"""The part of a row that the state alone decides, by state."""
_PADDED: Final = {name: _padded_texts(name) for name in _TEXTS[0]}
_LABELS: Final = {name: _codes_of(name) for name in _TEXTS[0]}
_CONFIDENCES: Final = [orjson.dumps(step / _PER_UNIT) + b"}," for step in range(_PER_UNIT + 1)]
"""The end of a row, by confidence."""
_MIDDLE_SIZES, _END_SIZES = (np.array([*map(len, texts)]) for texts in (_MIDDLES, _CONFIDENCES))
_HEAD: Final = b'{"time":%d,"known_at":%d'
_DIGITS: Final = 10
"""Of Unix seconds from 2001 to 2286."""
_MOULD: Final = np.frombuffer(_HEAD.replace(b"%d", b"0" * _DIGITS), np.uint8)
"""The beginning of a row with such times."""
_POWERS: Final = 10 ** np.arange(1, 18)
MOST_ROW_BYTES: Final = 24 + max(map(len, _MIDDLES)) + 60
"""What a row may hold in memory: its text and its numbers."""


class Answer(NamedTuple):
    """A body, a version that no other body has, and where its rows come from."""

    body: bytes
    version: str
    source: str


@dataclass(frozen=True, eq=False)
class RegimeRows:
    """Every candle of a market that opens in [known_from_ms, end_ms).

    Parameters
    ----------
    market : Market
        Whose.
    known_from_ms, end_ms : int
        Epoch milliseconds UTC.
    open_time_ms : ndarray of int64, shape (n,)
        Opens, ascending.
    state : ndarray of int16, shape (n,)
        Regime codes.
    confidence : ndarray of int16, shape (n,)
        0..1 in steps of 0.0001.
    is_stored : ndarray of bool, shape (n,)
        Which come from the table.
    mark : ReadVersion
        Of the read they come from.
    """

    market: Market
    known_from_ms: int
    end_ms: int
    open_time_ms: Int64
    state: NDArray[np.int16]
    confidence: NDArray[np.int16]
    is_stored: NDArray[np.bool_]
    mark: ReadVersion

    def __len__(self) -> int:
        """Candles."""
        return len(self.open_time_ms)

    @cached_property
    def version(self) -> str:
        """Hash of what every form is made of; another release may print it in another way."""
        content = blake2b(f"{__version__} {self.market}".encode(), digest_size=12)
        for column in (self.open_time_ms, self.state, self.confidence):
            content.update(column.tobytes())
        return content.hexdigest()

    def covers(self, question: RegimeQuestion) -> bool:
        """Tell whether the answer to a question of the same market is among these rows."""
        if question.end_ms > self.end_ms:
            return False
        first, last = self._span(question)
        return question.start_ms >= self.known_from_ms or last - first == question.limit

    def is_quick(self, form: Format) -> bool:
        """Tell whether an answer in this form is a copy of what is rendered already."""
        return form == "rows" and "text" in self.__dict__

    def answer(self, question: RegimeQuestion, form: Format = "rows") -> Answer:
        """Return the answer to a question that is covered.

        Raises
        ------
        ApiError
            Arrow is asked for and pyarrow is not installed.
        """
        first, last = self._span(question)
        body = {"rows": self._rows, "columns": self._columns, "arrow": self._arrow}[form](first, last)
        source = source_of(self.is_stored[first:last])
        return Answer(body, f"{self.version}-{form[0]}{first:x}-{last:x}", source)

    def _span(self, question: RegimeQuestion) -> tuple[int, int]:
        first, last = np.searchsorted(self.open_time_ms, (question.start_ms, question.end_ms)).tolist()
        return max(first, last - question.limit), last

    @cached_property
    def text(self) -> bytes:
        """All rows as a JSON list; joining bytes is all that is done row by row."""
        if not len(self):
            return b"[]"
        parts = [b""] * (3 * len(self))
        parts[0::3] = _heads(self.open_time_ms // 1000, self._known_at_ms // 1000)
        parts[1::3] = _each_of(_MIDDLES, self.state)
        parts[2::3] = _each_of(_CONFIDENCES, self.confidence)
        parts[0], parts[-1] = b"[" + parts[0], parts[-1][:-1] + b"]"
        return b"".join(parts)

    @cached_property
    def edges(self) -> Int64:
        """Where each row begins in the text, and where one more would, int64, shape (n + 1,)."""
        sizes = _MIDDLE_SIZES[self.state] + _END_SIZES[self.confidence] + len(_HEAD % (0, 0)) - 2
        sizes += _digits(self.open_time_ms // 1000) + _digits(self._known_at_ms // 1000)
        return np.concatenate(([0], np.cumsum(sizes))) + len(b"[")

    @property
    def _known_at_ms(self) -> Int64:
        return bar_known_at(self.market, self.open_time_ms)

    def _rows(self, first: int, last: int) -> bytes:
        if last - first == len(self):
            return self.text  # without a copy: fresh memory costs as much as rendering
        start, end = int(self.edges[first]), int(self.edges[last]) - len(b",")
        return b"".join((b"[", memoryview(self.text)[start : max(end, start)], b"]"))

    def _columns(self, first: int, last: int) -> bytes:
        state, confidence = self.state[first:last], self.confidence[first:last] / _PER_UNIT
        columns = {
            "time": _json(self.open_time_ms[first:last] // 1000),
            "known_at": _json(self._known_at_ms[first:last] // 1000),
            **{
                name: b"[" + padded[state].tobytes().translate(None, b" ")[:-1] + b"]"
                for name, padded in _PADDED.items()
            },
            "confidence": _json(confidence),
        }
        return b"{" + b",".join(b'"%b":%b' % (name.encode(), column) for name, column in columns.items()) + b"}"

    def _arrow(self, first: int, last: int) -> bytes:
        state = self.state[first:last]
        columns = {
            "time": arrow_times(self.open_time_ms[first:last]),
            "known_at": arrow_times(self._known_at_ms[first:last]),
            **{name: arrow_labels(codes[state], categories) for name, (codes, categories) in _LABELS.items()},
            "confidence": arrow_numbers(self.confidence[first:last] / _PER_UNIT),
        }
        return arrow_stream(columns)


def regime_rows(series: RegimeSeries, question: RegimeQuestion) -> RegimeRows:
    """Return what was read as the answer to a question."""
    regimes = series.regimes
    times = regimes.open_time_ms
    return RegimeRows(
        series.market,
        int(times[0]) if len(times) == question.limit else question.start_ms,
        question.end_ms,
        times,
        regimes.state,
        np.rint(regimes.confidence * _PER_UNIT).astype(np.int16),
        series.is_stored,
        series.mark,
    )


def _json(numbers: NDArray[Any]) -> bytes:
    return orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY)


def _heads(opened: Int64, known: Int64) -> list[bytes]:
    """The beginning of each row, from its times in seconds: they are laid into a mould where all have its width."""
    if opened[0] < 10 ** (_DIGITS - 1) or known[-1] >= 10**_DIGITS:
        return [_HEAD % pair for pair in zip(opened.tolist(), known.tolist(), strict=True)]
    heads = np.tile(_MOULD, (len(opened), 1))
    for seconds, at in ((opened, _HEAD.index(b"%")), (known, len(_MOULD) - _DIGITS)):
        digits = np.frombuffer(_json(seconds), np.uint8)[1:].reshape(len(seconds), _DIGITS + 1)
        heads[:, at : at + _DIGITS] = digits[:, :_DIGITS]
    found: list[bytes] = heads.view(f"S{len(_MOULD)}")[:, 0].tolist()
    return found


def _digits(numbers: Int64) -> Int64:
    """How many characters each number has as a text; none is negative."""
    return np.searchsorted(_POWERS, numbers, side="right") + 1


def _each_of(texts: Sequence[bytes], codes: NDArray[np.int16]) -> list[bytes]:
    return [*map(texts.__getitem__, codes.tolist())]
