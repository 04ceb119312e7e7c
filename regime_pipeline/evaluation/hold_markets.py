"""Real markets that the hold model is fitted on and judged on, and the split between the two.

The files are the reader's own copy of exchange data, in the layout named below; none is shipped. See `hold_forecasts`
for what is drawn on the candles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.resample import resample_complete
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.imports.plan import read_files
from regime_pipeline.sources.files.layouts import ReadOptions

FIT, EPOCH, BOTH, MARKET, OTHER = "fit", "unseen year", "unseen year and market", "unseen market", "other months"
HELD_OUT: Final = (EPOCH, BOTH, MARKET, OTHER)
"""The split, chosen before anything was fitted.

`FIT`: ETH 2017-08 to 2021-03 and BTC, ETH, BNB, XRP 2021-04 to 2021-08. Judged on: the same four in 2023 (`EPOCH`), ADA
and DOGE in 2023 (`BOTH`) and in 2021 (`MARKET`: weeks that were fitted on other markets), and single months of BTC from
2017 to 2025 and of ETH in 2022 (`OTHER`)."""
_OPTIONS: Final = ReadOptions(timezone="UTC", is_dropping_unaligned=True)
_LATEST_MS: Final = to_ms("2026-01-01T00:00:00Z")
_YEAR_2023_MS: Final = to_ms("2023-01-01T00:00:00Z")
_CUT_MS: Final = to_ms("2021-04-01T00:00:00Z")
_BINANCE: Final = "binance-vision/data/spot"


@dataclass(frozen=True, eq=False)
class HoldSeries:
    """Candles of one market and span.

    Parameters
    ----------
    part : str
        `FIT` or one of `HELD_OUT`.
    candles : Candles
        With their gaps; a span begins without any history.
    """

    part: str
    candles: Candles


def read_markets(folder: Path) -> list[HoldSeries]:
    """Read every series of the split, hourly.

    Raises
    ------
    MissingDataError
        A file is absent; names it.
    """
    long = _read(folder, "freqtrade-format/binance-2017-2021__ETH_USDT-1h.json.gz", "ETH-USDT")
    series = [HoldSeries(FIT, long.between(0, _CUT_MS))]
    for base in ("BTC", "ETH", "BNB", "XRP", "ADA", "DOGE"):
        found = _read(folder, f"hourly-cut/{base}USDT_1h_shared-epochs.csv.gz", f"{base}-USDT")
        is_fitted = base not in ("ADA", "DOGE")
        series.append(HoldSeries(FIT if is_fitted else MARKET, found.between(_CUT_MS, _YEAR_2023_MS)))
        series.append(HoldSeries(EPOCH if is_fitted else BOTH, found.between(_YEAR_2023_MS, _LATEST_MS)))
    june = _read(folder, f"{_BINANCE}/monthly/klines/ETHUSDT/1h/ETHUSDT-1h-2022-06.zip", "ETH-USDT")
    return [*series, HoldSeries(OTHER, june), _other_months(folder)]


def _other_months(folder: Path) -> HoldSeries:
    """The months of BTC that no other file of the split covers, hours whose sixty minutes are all there."""
    place = folder / _BINANCE / "daily/klines/BTCUSDT/1m"
    months = ("2017-08", "2018-02", "2020-02", "2020-03", "2020-10", "2024-12", "2025-01")
    files = sorted(path for month in months for path in place.glob(f"BTCUSDT-1m-{month}-*.zip"))
    if not files:
        raise MissingDataError(f"{place} holds no daily files of BTCUSDT.", "Name the folder of the shared data.")
    minutes = read_files(files, Market("BTC-USDT", "1m"), _OPTIONS, _LATEST_MS).candles
    return HoldSeries(OTHER, resample_complete(minutes, "1h"))


def _read(folder: Path, name: str, symbol: str) -> Candles:
    path = folder / name
    if not path.is_file():
        raise MissingDataError(f"There is no file {path}.", "Name the folder of the shared data.")
    return read_files([path], Market(symbol, "1h"), _OPTIONS, _LATEST_MS).candles
