"""The storage that dagster.yaml names: Dagster's own for PostgreSQL, with `bulk_events` and `kept_connections` in it.

`REGIME_DAGSTER_EVENTS=stock` leaves everything to Dagster, and so does a Dagster that this was not written for.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config

from regime_pipeline.pipeline.bulk_events import EVENT_COLUMNS, TAG_COLUMNS, BulkEventLogStorage
from regime_pipeline.pipeline.kept_connections import KeptRunStorage, kept_engine
from regime_pipeline.settings import Settings

OLDEST: Final = (0, 29, 20)
BELOW: Final = (0, 30)
"""The versions of dagster-postgres that the package may be installed with: from the one, below the other."""
_USED: Final = {
    "__init__": "self postgres_url should_autocreate_tables inst_data token_provider",
    "_connect": "self",
    "index_transaction": "self",
    "has_table": "self table_name",
    "_has_asset_key_col_on_connection": "self conn column_name",
    "_event_to_row": "self event",
    "_event_insert_timestamp": "self event",
    "_tags_for_asset_event": "self event",
    "_store_asset_event": "self conn event event_id",
    "store_asset_check_event": "self event event_id",
}
"""Methods of Dagster's event storage that `bulk_events` calls or replaces, with what they take."""
_LOG: Final = logging.getLogger(__name__)


class RegimeDagsterStorage(DagsterPostgresStorage):
    """Dagster's storage for PostgreSQL; events and runs are written faster, and read by Dagster's own methods.

    Parameters
    ----------
    postgres_url : str
        Dagster's database, `postgresql+psycopg2://`.
    should_autocreate_tables : bool
        Whether to create what is missing.
    inst_data : ConfigurableClassData, optional
        Where the instance's file names this class.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        if is_bulk():
            engine = kept_engine(postgres_url)
            self._run_storage = KeptRunStorage(postgres_url, engine)
            self._event_log_storage = BulkEventLogStorage(postgres_url, engine)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> RegimeDagsterStorage:
        """Make the storage of an instance's file; Dagster calls it."""
        autocreate = config_value.get("should_autocreate_tables", True)
        return cls(pg_url_from_config(config_value), autocreate, inst_data)


def is_bulk() -> bool:
    """Whether events are stored in bulk: the setting says so, and Dagster is one that this was written for."""
    if Settings().dagster_events == "stock":
        return False
    reason = unknown_dagster()
    if reason:
        _LOG.warning("%s Dagster's own event storage is used, which is slower.", reason)
    return not reason


@cache
def unknown_dagster() -> str:
    """Say what differs in the installed Dagster from those that `bulk_events` was written for; empty if nothing."""
    installed = version("dagster-postgres")
    if not OLDEST <= tuple(map(int, re.findall(r"\d+", installed)[:3])) < BELOW:
        return f"dagster-postgres is {installed}, not {versions()}."
    for name, expected in _USED.items():
        method = getattr(PostgresEventLogStorage, name, None)
        if method is None or " ".join(inspect.signature(method).parameters) != expected:
            return f"PostgresEventLogStorage.{name} of dagster-postgres {installed} is not as expected."
    for table, columns in ((SqlEventLogStorageTable, EVENT_COLUMNS), (AssetEventTagsTable, TAG_COLUMNS)):
        if [column.name for column in table.columns] != ["id", *columns]:
            return f"The table {table.name} of dagster-postgres {installed} has other columns than expected."
    return ""


def versions() -> str:
    """Return the versions of dagster-postgres that `bulk_events` was written for, as pip spells them."""
    return f">={'.'.join(map(str, OLDEST))},<{'.'.join(map(str, BELOW))}"
