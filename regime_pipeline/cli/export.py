"""`regime export`: one hour's snapshot for other programs, with its history embedded if wanted; no database needed.

What a snapshot and a bundle hold is decided in `storage`; only arguments and wording belong here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from regime_pipeline.composition import read_policy
from regime_pipeline.domain.analysis import reach_hours
from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market import HOUR_MS, Market
from regime_pipeline.domain.window import to_iso, to_ms
from regime_pipeline.settings import Settings
from regime_pipeline.storage.snapshot_bundle import bundle, to_yaml
from regime_pipeline.storage.snapshot_codec import to_document
from regime_pipeline.storage.snapshot_files import SnapshotStore


def export_command(
    market: Annotated[str, typer.Argument(help="SYMBOL_TIMEFRAME, for example ETH-USDT_1h.")],
    time: Annotated[str, typer.Argument(help="A moment of the hour, ISO-8601 with offset.")],
    with_history: Annotated[
        bool, typer.Option("--bundle", help="Embed the history that a verdict needs: one file is enough to analyze.")
    ] = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="YAML instead of JSON; without history.")] = False,
    as_of: Annotated[
        str, typer.Option(help="What was known at this time, ISO-8601 with offset; the newest by default.")
    ] = "",
    output: Annotated[str, typer.Option(help="File, or - for stdout.")] = "-",
) -> None:
    """Write one hour's snapshot, as a bundle for `regime_pipeline.analyze_snapshot` if wanted.

    Example: regime export ETH-USDT_1h 2020-03-12T10:00:00Z --bundle --output eth.json
    """
    if with_history and as_yaml:
        raise UsageError("--bundle and --yaml exclude each other.", "Bundles are JSON.")
    settings, place = Settings(), Market.parse(market)
    hour_ms = to_ms(time) // HOUR_MS * HOUR_MS
    known_ms = to_ms(as_of) if as_of else None
    store = SnapshotStore(settings.snapshot_root)
    if with_history:
        text = _json(bundle(store, place, hour_ms, reach_hours(place, read_policy(settings)), known_ms))
    else:
        snapshot = store.load(place, hour_ms, known_ms)
        if snapshot is None:
            raise MissingDataError(f"There is no snapshot of {place} {to_iso(hour_ms)} under {store.root}.")
        text = to_yaml(snapshot) if as_yaml else _json(to_document(snapshot))
    if output == "-":
        typer.echo(text)
    else:
        Path(output).write_text(text, "utf-8")


def _json(document: Any) -> str:
    return orjson.dumps(document).decode()
