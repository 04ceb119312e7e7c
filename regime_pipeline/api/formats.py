"""The forms of a large answer: rows as JSON objects, the same by column, and the same as an Arrow stream.

Each form has the same columns, rows, pages and numbers. Arrow needs the extra `parquet`. See `regime_rows` for the
candle regimes, which are rendered by column as well.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
import orjson
import pandas as pd
from fastapi import Query
from numpy.typing import NDArray
from pydantic import BaseModel, Field, create_model

from regime_pipeline.api.answers import ColumnsPage, Page
from regime_pipeline.api.errors import ApiError
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.services.queries.json_records import json_columns, records

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["rows", "columns", "arrow"]
ARROW: Final = "application/vnd.apache.arrow.stream"
MEDIA_TYPES: Final[dict[Format, str]] = {"rows": "application/json", "columns": "application/json", "arrow": ARROW}
FormatQuery = Annotated[
    Format,
    Query(
        alias="format",
        description="rows: an object per row. columns: one object of arrays. arrow: an Arrow IPC stream.",
        examples=["columns"],
    ),
]
IN_ARROW: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}}
}
"""What the OpenAPI document says besides of a route that has the forms."""


def column_model(row: type[BaseModel]) -> type[BaseModel]:
    """Return the model of rows by column: an array for each field of a row."""
    fields: dict[str, Any] = {
        name: (
            list.__class_getitem__(field.annotation),
            Field(description=field.description, examples=[[example] for example in field.examples or []] or None),
        )
        for name, field in row.model_fields.items()
    }
    about = f"{str(row.__doc__).partition('.')[0]}, by column."
    return create_model(f"{row.__name__}Columns", __config__=row.model_config, __doc__=about, **fields)


def page_models(row: type[BaseModel]) -> Any:
    """Return what a page of rows may be: a list of them, or their columns."""
    return Page.__class_getitem__(row) | ColumnsPage.__class_getitem__(column_model(row))


def pyarrow() -> Any:
    """Return the library.

    Raises
    ------
    ApiError
        It is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        what = (
            "This server cannot write Arrow: pyarrow is not installed. "
            "Ask for format=columns, or run pip install 'regime-pipeline[parquet]' on the server."
        )
        raise ApiError(501, "not_installed", what) from error
    return pa


def arrow_stream(columns: Mapping[str, pa.Array]) -> bytes:
    """Return columns as an Arrow IPC stream of one batch."""
    pa = pyarrow()
    batch = pa.RecordBatch.from_arrays([*columns.values()], [*columns])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue()


def arrow_times(times_ms: Int64) -> pa.Array:
    """Return epoch milliseconds as timestamps in UTC."""
    pa = pyarrow()
    return pa.array(times_ms, pa.timestamp("ms", "UTC"))


def arrow_labels(codes: NDArray[np.int8], categories: Sequence[str]) -> pa.Array:
    """Return codes as the dictionary of the texts that they mean."""
    pa = pyarrow()
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(categories))


def arrow_numbers(values: NDArray[Any]) -> pa.Array:
    """Return numbers as they are."""
    return pyarrow().array(values)


def frame_page(frame: pd.DataFrame, form: Format, total: int, next_url: str | None) -> tuple[bytes, dict[str, str]]:
    """Return one page of a list as a body, and the headers that say how the list goes on.

    Parameters
    ----------
    frame : DataFrame
        The rows of the page, in order.
    form : {"rows", "columns", "arrow"}
        Of the body: `items` of the first two are a list of objects, or an object of arrays.
    total : int
        Rows of the whole list.
    next_url : str or None
        Where the next page is.
    """
    headers = {"X-Total-Count": str(total)} | ({"Link": f'<{next_url}>; rel="next"'} if next_url else {})
    if form == "arrow":
        return frame_stream(frame), headers
    items = records(frame) if form == "rows" else json_columns(frame)
    return orjson.dumps({"items": items, "total": total, "next_url": next_url}), headers


def frame_stream(frame: pd.DataFrame) -> bytes:
    """Return a frame as an Arrow IPC stream; NaN becomes null."""
    return arrow_stream({str(name): _arrow_column(frame[name]) for name in frame})


def _arrow_column(column: pd.Series) -> pa.Array:
    """Labels as dictionaries, times as timestamps, objects as structures."""
    pa = pyarrow()
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        times = column.dt.tz_convert("UTC").to_numpy("M8[ms]")
        return pa.array(times.astype(np.int64), pa.timestamp("ms", "UTC"), mask=np.isnat(times))
    if column.dtype == object:
        return pa.array([[_structure(each) for each in row] for row in column])
    return pa.array(column, from_pandas=True)


def _structure(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object whose fields have one type in every row: what differs from rule to rule is JSON text."""
    return {name: orjson.dumps(each).decode() if name in _VARIED else each for name, each in value.items()}


_VARIED: Final = frozenset({"inputs", "threshold"})
"""Fields of a factor that hold other things for each rule."""
