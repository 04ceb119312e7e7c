"""What the catalog of the Dagster UI shows of an asset: its tables, their columns and where the rows can be read.

See `storage.column_comments` for what the columns say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import dagster as dg

from regime_pipeline.storage import tables as stored
from regime_pipeline.storage.column_comments import column_comment

ROW_COUNT: Final = "dagster/partition_row_count"
"""Dagster's own name for the rows of a partition."""
DOCUMENTED_IN: Final = "docs/storage.md"


def table_metadata(names: Sequence[str]) -> dict[str, Any]:
    """Return metadata of an asset that writes tables: the first is what the catalog shows with its columns.

    Parameters
    ----------
    names : sequence of str
        Tables, or patterns of files where an asset writes no table.
    """
    shown: dict[str, Any] = {"written_to": ", ".join(names)}
    if names[0] not in stored.metadata.tables:
        return shown
    table = stored.metadata.tables[names[0]]
    columns = [
        dg.TableColumn(
            column.name,
            type=str(column.type).lower(),
            description=column_comment(table.name, column.name),
            constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
        )
        for column in table.columns
    ]
    return {
        **shown,
        "dagster/table_name": table.name,
        "dagster/column_schema": dg.TableSchema(columns=columns),
    }


def listed(name: str, lines: Sequence[str]) -> dict[str, dg.TableMetadataValue]:
    """Return lines as a table of one column, nothing where there are none.

    A table shows them as they are. As Markdown, what an exchange answered could draw pictures and links on the page.
    """
    if not lines:
        return {}
    return {name: dg.MetadataValue.table([dg.TableRecord({name: line}) for line in lines])}


def with_links(spec: dg.AssetSpec, dashboard_url: str) -> dg.AssetSpec:
    """Return an asset's description with where to read on: the page of the documentation, and the dashboard.

    Parameters
    ----------
    spec : AssetSpec
        The asset.
    dashboard_url : str
        Where the dashboard is served; empty for no link.
    """
    links: dict[str, Any] = {"documented_in": DOCUMENTED_IN}
    if dashboard_url:
        links["dashboard"] = dg.MetadataValue.url(dashboard_url)
    return spec.merge_attributes(metadata=links)
