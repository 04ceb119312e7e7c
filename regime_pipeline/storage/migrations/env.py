"""Run revisions on the connection that `storage.migrate` opened and locked; alembic's own command line is not used."""

from __future__ import annotations

from alembic import context

from regime_pipeline.storage.admin.migrate import VERSION_TABLE
from regime_pipeline.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
