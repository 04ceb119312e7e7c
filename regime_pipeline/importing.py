"""Importing candle files from Python: the use case of `services.imports`, bound to this installation's settings.

`regime import` calls the same function. See `sources.files` for how files are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.no_trade import AbsentBars
from regime_pipeline.services.chain.workspace import Workspace, system_clock
from regime_pipeline.services.imports.run import ImportPlace, ImportReport, ImportRequest, run_import
from regime_pipeline.services.imports.write import Consent
from regime_pipeline.settings import Settings
from regime_pipeline.sources.files.layouts import ReadOptions

Progress = Callable[[Sequence[Path]], Iterable[Path]]


def import_candles(
    files: str | PathLike[str] | Iterable[str | PathLike[str]],
    market: str,
    *,
    resample: Sequence[str] = (),
    dry_run: bool = False,
    restate: bool = False,
    whole_truth: bool = False,
    absent_bars: AbsentBars | None = None,
    settings: Settings | None = None,
    progress: Progress = iter,
    **options: Any,
) -> ImportReport:
    """Import candle files into this installation's database: all of them, or nothing when one is refused.

    Parameters
    ----------
    files : path or iterable of paths
        CSV, JSON, JSON lines, Parquet or Feather, each also compressed; see docs/import.md.
    market : str
        Whose candles they are, `BTC-USDT_1h`; listed in markets.toml if it is not there yet.
    resample : sequence of str
        Timeframes to list as resampled from the 1m candles.
    dry_run : bool
        Read and decide everything, write nothing.
    restate : bool
        Stored bars may take the files' values; the former ones are kept in `candle_revisions`.
    whole_truth : bool
        Stored bars that the files lack within their span are removed; they too are kept in `candle_revisions`.
    absent_bars : {"gap", "no_trade"}, optional
        What a bar is that the files lack within the time that they cover: a gap, or time without a trade (a flat bar
        of volume 0). If None, as the market is listed in markets.toml; a gap where it is not.
    settings : Settings, optional
        The installation; by default that of the environment (`REGIME_HOME` and others).
    progress : callable
        Passes the files through while they are read.
    **options
        How to read what the files do not say: `timezone`, `columns`, `decimal`, `volume`, `stamps`, `dates`,
        `price_scale`, `layout`, `is_dropping_unaligned` (see `ReadOptions`).

    Returns
    -------
    ImportReport
        What was read, decided and written; `to_dict()` is what `--format json` prints.

    Raises
    ------
    RegimeError
        A file is refused (`BadFileError`), or the request cannot be met; nothing is written.

    Examples
    --------
    >>> import regime_pipeline as rp
    >>> rp.import_candles("btc.csv", "BTC-USDT_1h", timezone="UTC").next_command  # doctest: +SKIP
    'regime backfill --market BTC-USDT_1h'
    """
    chosen = settings or Settings()
    paths = [files] if isinstance(files, str | PathLike) else list(files)
    universe = read_universe(chosen) if chosen.markets.exists() else None
    known = universe.symbols if universe else frozenset()
    request = ImportRequest(
        [Path(path) for path in paths],
        Market.parse(market, known),
        ReadOptions(**options),
        tuple(resample),
        Consent(restate, whole_truth),
        absent_bars,
        dry_run,
    )
    return run_import(request, import_place(chosen), progress)


def import_place(settings: Settings, workspace: Workspace | None = None) -> ImportPlace:
    """Return where an installation's imports go.

    Parameters
    ----------
    settings : Settings
        The installation.
    workspace : Workspace, optional
        Open already, and the caller's to close; by default each import opens the database itself.
    """
    return ImportPlace(
        settings.markets,
        partial(read_universe, settings),
        (lambda: open_workspace(settings)) if workspace is None else (lambda: nullcontext(workspace)),
        workspace is not None or bool(settings.database_url) or (settings.home / "postgres").exists(),
        system_clock,
    )
