"""The route that imports a candle file: `regime import` over HTTP, for a write key.

See `services.imports` for the use case, `sources.files` for the forms of files.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from regime_pipeline.api.checked_route import FileRoute
from regime_pipeline.api.context import Writer
from regime_pipeline.api.errors import ApiError
from regime_pipeline.api.middleware import FILES
from regime_pipeline.api.params import MarketParameter
from regime_pipeline.api.responses import json_answer
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.no_trade import AbsentBars
from regime_pipeline.services.imports.run import ImportPlace, ImportReport, ImportRequest, run_import
from regime_pipeline.services.imports.write import Consent
from regime_pipeline.sources.files.layouts import Layout, ReadOptions
from regime_pipeline.sources.files.table import BadFileError

PATH: Final = f"{FILES}{{symbol}}/{{timeframe}}"
_WAIT_S: Final = 5
_OPTION: Final = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_FILE: Final = {
    "requestBody": {
        "required": True,
        "description": "The file as it is, at most 16 MiB, plain or compressed; the ending of `name` says its form.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class ImportedFile(BaseModel):
    """What was read from the file."""

    model_config = ConfigDict(extra="allow")
    name: str = Field(examples=["candles.csv"])
    rows: int = Field(examples=[504])
    columns: dict[str, str] = Field(description="Which column of the file each field is.", examples=[{"time": "date"}])
    notes: list[str] = Field(description="What was decided while reading.", examples=[[]])


class ImportAnswer(BaseModel):
    """What an import read, decided and wrote."""

    model_config = ConfigDict(extra="allow")
    market: str = Field(examples=["BTC-EUR_1h"])
    candles: int = Field(examples=[504])
    start: str = Field(examples=["2026-09-01T00:00:00Z"])
    end: str = Field(examples=["2026-09-22T00:00:00Z"])
    candles_written: int = Field(description="0 for those that were there already.", examples=[504])
    hours_written: int = Field(examples=[504])
    is_dry_run: bool = Field(examples=[False])
    next_command: str = Field(description="What computes them.", examples=["regime backfill --market BTC-EUR_1h"])
    files: list[ImportedFile]


class _Consents(NamedTuple):
    """What the caller permits, and whether anything is to be written."""

    consent: Consent
    absent_bars: AbsentBars | None
    is_dry_run: bool


async def _consents(
    dry_run: Annotated[bool, Query(description="Read, decide and report; write nothing.", examples=[True])] = False,
    restate: Annotated[bool, Query(description="Stored bars may change.", examples=[False])] = False,
    whole_truth: Annotated[
        bool, Query(description="Stored bars that the file lacks are removed.", examples=[False])
    ] = False,
    absent_bars: Annotated[
        Literal["gap", "no_trade"] | None,
        Query(description="What absent bars are; as the market is listed by default.", examples=["gap"]),
    ] = None,
) -> _Consents:
    return _Consents(Consent(restate, whole_truth), absent_bars, dry_run)


async def _read_options(
    layout: Annotated[Layout, Query(description="Order of columns without names.", examples=["auto"])] = "auto",
    columns: Annotated[
        str, Query(max_length=400, description="All columns in order.", examples=["time,open,high,low,close,volume"])
    ] = "",
    timezone: Annotated[str, Query(max_length=40, description="UTC, for naive times.", examples=["UTC"])] = "",
    decimal: Annotated[str, Query(max_length=4, description="Decimal sign: , or .", examples=["."])] = "",
    volume: Annotated[str, Query(max_length=80, description="Column of the volume, or none.", examples=["none"])] = "",
    stamps: Annotated[str, Query(max_length=8, description="open or close.", examples=["open"])] = "",
    dates: Annotated[str, Query(max_length=8, description="dmy or mdy.", examples=["dmy"])] = "",
    price_scale: Annotated[int, Query(ge=0, le=10**12, description="Ticks per unit; 0 infers it.", examples=[0])] = 0,
    drop_unaligned: Annotated[
        bool, Query(description="Leave out bars off the timeframe's grid.", examples=[False])
    ] = False,
) -> Callable[[], ReadOptions]:
    names = tuple(name.strip() for name in columns.split(",")) if columns else ()
    return partial(ReadOptions, layout, names, timezone, price_scale, drop_unaligned, decimal, volume, stamps, dates)


_Name = Annotated[
    str,
    Query(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]*$",
        max_length=120,
        description="Name of the file, whose ending says its form.",
        examples=["candles.csv.gz"],
    ),
]


def import_router(place: ImportPlace) -> APIRouter:
    """Return the route that imports into a place, one file at a time."""
    router, busy = APIRouter(tags=["imports"], route_class=FileRoute), Lock()

    @router.post(PATH, response_model=ImportAnswer, openapi_extra=_FILE, summary="Import a candle file")
    async def import_file(
        request: Request,
        _: Writer,
        market: MarketParameter,
        consents: Annotated[_Consents, Depends(_consents)],
        options: Annotated[Callable[[], ReadOptions], Depends(_read_options)],
        name: _Name = "candles.csv",
    ) -> Response:
        """Store the candles of the file in the body, all of them or none; the market is listed if it is not yet.

        What `regime import` does, with its options. Stored bars change only with `restate` and go only with
        `whole_truth`. The chain computes the hours at the next backfill (`next_command`). 503 while another runs.
        """
        body = await request.body()
        return await run_in_threadpool(_import, place, busy, market, name, body, consents, options)

    return router


def _import(
    place: ImportPlace,
    busy: Lock,
    market: Market,
    name: str,
    body: bytes,
    consents: _Consents,
    options: Callable[[], ReadOptions],
) -> Response:
    """Import one file; `options` is called where what it refuses is said as everything else is."""
    if not busy.acquire(blocking=False):
        raise ApiError(503, "busy", "Another import is running. Send it again in a moment.", _WAIT_S)
    try:
        with tempfile.TemporaryDirectory() as folder, _without_paths(folder, place.markets):
            file = Path(folder) / name
            file.write_bytes(body)
            report = run_import(
                ImportRequest(
                    [file],
                    market,
                    options(),
                    consent=consents.consent,
                    absent_bars=consents.absent_bars,
                    is_dry_run=consents.is_dry_run,
                ),
                place,
            )
            return json_answer(_document(report))
    finally:
        busy.release()


def _document(report: ImportReport) -> dict[str, Any]:
    """The report as the command line prints it, with names in place of paths."""
    document = report.to_dict()
    files = [{"name": Path(file.pop("path")).name, **file} for file in document["files"]]
    return {**document, "files": files}


@contextmanager
def _without_paths(folder: str, markets: Path) -> Iterator[None]:
    """Refuse what is wrong in the sentence of the command line, without our paths; its options are parameters here."""
    try:
        yield
    except (BadFileError, UsageError) as error:
        said = str(error).replace(f"{folder}/", "").replace(str(markets), markets.name)
        said = _OPTION.sub(lambda option: option[1].replace("-", "_"), said)
        raise ApiError(422, "usage" if isinstance(error, UsageError) else "bad_file", said) from error
