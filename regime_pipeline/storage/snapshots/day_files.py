"""A market's day of snapshots in one file, which reads many times faster than the files of its hours.

`YYYY/MM/DD/ETH-USDT_1h.day`, beside the folders of the hours: a line of JSON that says of each hour what its own file
would, then the bars of all, column after column, 8 bytes a value, little-endian. An hour's document comes out of it
byte for byte as from a file of its own. See `store` for when which is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import COLUMNS
from regime_pipeline.storage.snapshots.codec import columns_of

DAY_REVISION: Final = 0
"""The number of what a day's file says of an hour: files of the hour count from 1 and come later."""
HOURS: Final = tuple(f"{hour:02}" for hour in range(24))
BROKEN: Final = (ValueError, TypeError, KeyError, AttributeError, IndexError)
"""What reading a document raises that is not of its shape."""
_DTYPES: Final = ("<i8", "<i8", "<i8", "<i8", "<i8", "<f8")
_BEGIN, _END_OF_HASH = b'{"sha256":"', b'",'
_HASH: Final = slice(len(_BEGIN), len(_BEGIN) + 64)
_BODY: Final = len(_BEGIN) + 64 + len(_END_OF_HASH)
_SHARED: Final = ("schema_version", "symbol", "timeframe", "price_scale")


class Day:
    """A day's file as found; nothing about its shape is taken for granted.

    Parameters
    ----------
    data : bytes
        The file.

    Attributes
    ----------
    is_sound : bool
        Its hash is right. If not, every hour of the day counts as damaged.
    header : dict
        The market, the day, the price scale, and `hours`: what is said of each beside its bars.
    counts : list of int
        Bars of each hour of the header.
    columns : list of ndarray, shape (sum(counts),)
        The bars in the order of `COLUMNS`: int64 but for the volume, float64.
    """

    def __init__(self, data: bytes) -> None:
        self.header: dict[str, Any] = {}
        self.counts: list[int] = []
        self.columns: list[NDArray[Any]] = []
        self._rows: dict[str, slice] = {}
        self.is_sound = False
        body = memoryview(data)[_BODY:]
        if data[: len(_BEGIN)] == _BEGIN and hashlib.sha256(body).hexdigest().encode() == data[_HASH]:
            try:
                self._open(data)
            except BROKEN:
                return
            self.is_sound = True

    def _open(self, data: bytes) -> None:
        end = data.index(b"\n")
        self.header = orjson.loads(b"{" + data[_BODY:end])
        self.counts = [hour["bars"] for hour in self.header["hours"].values()]
        if not all(type(count) is int and count >= 0 for count in self.counts):
            raise ValueError("a number of bars is none")
        ends = zip(self.header["hours"], self.counts, accumulate(self.counts), strict=True)
        self._rows = {hour: slice(end - count, end) for hour, count, end in ends}
        values = np.frombuffer(data, dtype="<i8", offset=end + 1).reshape(len(COLUMNS), sum(self.counts))
        self.columns = [column.view(dtype) for column, dtype in zip(values, _DTYPES, strict=True)]

    def says(self, hour: str) -> bool:
        """Tell whether the file holds an hour; a damaged one counts as if it held them all, so that it is seen."""
        return not self.is_sound or hour in self._rows

    def document(self, hour: str) -> dict[str, Any]:
        """Return the document of an hour.

        Raises
        ------
        KeyError
            The file does not hold the hour.
        """
        said, rows = self.header["hours"][hour], self._rows[hour]
        return {
            **{name: self.header[name] for name in ("schema_version", "symbol", "timeframe")},
            "hour_start": f"{self.header['day']}T{hour}:00:00Z",
            "price_scale": self.header["price_scale"],
            "bars": list(zip(*(column[rows].tolist() for column in self.columns), strict=True)),
            "market_summary": said["market_summary"],
            "metadata": said["metadata"],
        }


class HourOfDay(NamedTuple):
    """What a day's file says of one hour."""

    day: Day
    hour: str

    def encoded(self) -> bytes:
        """Return the bytes of the hour's own file; none if the day's file is damaged or not of its shape."""
        try:
            return orjson.dumps(self.day.document(self.hour))
        except BROKEN:
            return b""


def bytes_of(data: bytes | HourOfDay) -> bytes:
    """Return the bytes of an hour's file, whether it has one or is part of its day's."""
    return data.encoded() if isinstance(data, HourOfDay) else data


def day_name(stem: str) -> str:
    """Return the day's file of an hour: for `2020/03/12/00/ETH-USDT_1h` that is `2020/03/12/ETH-USDT_1h.day`."""
    return f"{stem[:10]}{stem[13:]}.day"


def encode_day(documents: Sequence[dict[str, Any]]) -> bytes:
    """Return the file of documents of one market, day and price scale, given in order of their hours."""
    header = {name: documents[0][name] for name in _SHARED}
    header["day"] = documents[0]["hour_start"][:10]
    header["hours"] = {
        document["hour_start"][11:13]: {
            "bars": len(document["bars"]),
            "market_summary": document["market_summary"],
            "metadata": document["metadata"],
        }
        for document in documents
    }
    columns = columns_of([row for document in documents for row in document["bars"]])
    arrays: list[NDArray[Any]] = [np.array(column, dtype) for column, dtype in zip(columns, _DTYPES, strict=True)]
    body = b"\n".join([orjson.dumps(header)[1:], b"".join(array.tobytes() for array in arrays)])
    return b"".join([_BEGIN, hashlib.sha256(body).hexdigest().encode(), _END_OF_HASH, body])
