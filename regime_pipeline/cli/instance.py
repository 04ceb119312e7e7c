"""The Dagster instance of this installation, as the commands that look at it or change it open it.

See `pipeline.instance` for what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from regime_pipeline.bootstrap import open_databases
from regime_pipeline.settings import Settings

if TYPE_CHECKING:
    import dagster as dg


@contextmanager
def opened_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the home's instance for the length of a block; errors as `open_databases`."""
    from regime_pipeline.pipeline.instance import open_instance  # Dagster takes two seconds to import

    with open_instance(settings.dagster_home, open_databases(settings).dagster) as instance:
        yield instance
