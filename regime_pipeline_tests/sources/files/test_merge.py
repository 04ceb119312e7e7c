"""Several files become one series: order, gaps, repetitions, contradictions and price scale."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.sources.files.checks import FileRows
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.merge import find_gaps, merge_rows
from regime_pipeline.sources.files.reader import read_file
from regime_pipeline.sources.files.table import BadFileError

MARKET = Market("BTC-USDT", "1m")
DAY = to_ms("2020-02-09T00:00:00Z")
LATER = DAY + 10**9
Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def parts(write: Write) -> Callable[..., list[FileRows]]:
    """Read files made of lines `minute,price`."""

    def read(*files: list[tuple[int, str]]) -> list[FileRows]:
        found = []
        for number, rows in enumerate(files):
            lines = [f"{DAY + minute * 60_000},{price},{price},{price},{price},1" for minute, price in rows]
            found += read_file(write(f"{number}.csv", "\n".join(lines)), MARKET, ReadOptions())
        return found

    return read


def test_files_in_any_order_become_one_series(parts: Callable[..., list[FileRows]]) -> None:
    merged = merge_rows(parts([(4, "1.5"), (5, "1.6")], [(0, "1.1"), (1, "1.2")], [(2, "1.3")]), MARKET, LATER)
    assert ((merged.candles.open_time_ms - DAY) // 60_000).tolist() == [0, 1, 2, 4, 5]
    assert merged.candles.close.tolist() == [11, 12, 13, 15, 16]
    assert merged.covered == ((DAY, DAY + 180_000), (DAY + 240_000, DAY + 360_000))
    assert find_gaps(MARKET, merged.candles, merged.covered) == ()


def test_gaps_are_the_absences_within_what_is_covered(parts: Callable[..., list[FileRows]]) -> None:
    merged = merge_rows(parts([(0, "1"), (3, "1"), (4, "1"), (6, "1")]), MARKET, LATER)
    assert find_gaps(MARKET, merged.candles, merged.covered) == ((DAY + 60_000, 2), (DAY + 300_000, 1))


def test_exact_repetitions_are_counted_for_the_later_file(parts: Callable[..., list[FileRows]]) -> None:
    merged = merge_rows(parts([(0, "1"), (0, "1"), (1, "2")], [(0, "1.0"), (1, "2"), (2, "3")]), MARKET, LATER)
    assert merged.candles.close.tolist() == [1, 2, 3]
    assert merged.duplicates.tolist() == [1, 2]


def test_a_contradiction_names_both_places_and_the_values(parts: Callable[..., list[FileRows]]) -> None:
    found = parts([(0, "1"), (1, "2")], [(1, "2.5"), (2, "3")])
    with pytest.raises(
        BadFileError, match=r"0\.csv line 2 and .*1\.csv line 1 give the bar 2020-02-09T00:01:00Z diff"
    ) as it:
        merge_rows(found, MARKET, LATER)
    assert re.search(r"\(open, high, low, close\)", it.value.what)
    with pytest.raises(BadFileError, match=r"0\.csv line 1 and .*0\.csv line 2 give"):
        merge_rows(parts([(0, "1"), (0, "2")]), MARKET, LATER)


def test_bars_that_are_not_closed_are_left_out_and_nothing_confirms_them(
    parts: Callable[..., list[FileRows]],
) -> None:
    merged = merge_rows(parts([(0, "1"), (1, "1"), (2, "1")]), MARKET, DAY + 179_999)
    assert merged.candles.close_time_ms.tolist() == [DAY + 60_000, DAY + 120_000]
    assert merged.still_open.tolist() == [1]
    assert merged.covered == ((DAY, DAY + 120_000),)
    assert merge_rows(parts([(0, "1")]), MARKET, DAY + 60_000).still_open.tolist() == [0]


@pytest.mark.parametrize(
    ("prices", "scale"),
    [
        (["100", "7"], 1),
        (["0.5", "0.25"], 100),
        (["0.00002853"], 10**8),
        (["0.0000000001"], 10**10),
        (["93576.01"], 100),
    ],
)
def test_the_scale_is_the_smallest_that_holds_every_price(
    prices: list[str], scale: int, parts: Callable[..., list[FileRows]]
) -> None:
    merged = merge_rows(parts(list(enumerate(prices))), MARKET, LATER)
    assert merged.candles.price_scale == scale
    assert merged.candles.prices("close").tolist() == [float(price) for price in prices]


def test_a_scale_given_rounds_and_one_that_cannot_be_is_refused(parts: Callable[..., list[FileRows]]) -> None:
    noisy = parts([(0, "0.30000000000000004")])
    assert merge_rows(noisy, MARKET, LATER, 10).candles.close.tolist() == [3]
    assert merge_rows(noisy, MARKET, LATER).candles.price_scale == 10
    with pytest.raises(BadFileError, match=r"finer than a tick of 1/1: it would become 0\.0\. .* --price-scale 10"):
        merge_rows(noisy, MARKET, LATER, 1)
    with pytest.raises(BadFileError, match="too large for"):
        merge_rows(noisy, MARKET, LATER, 10**19)
    with pytest.raises(BadFileError, match="do not fit one scale"):
        merge_rows(parts([(0, "20000000"), (1, "0.000000001")]), MARKET, LATER)
