"""The schema revision that this version works with, and a quick check whether a database has it.

Separate from `admin.migrate` because importing alembic takes half a second, too long for an hourly run.
"""

from __future__ import annotations

from typing import Final

import psycopg

from regime_pipeline.storage.urls import libpq_url

HEAD: Final = "0010"
"""Newest revision of `migrations`; a test holds the two equal."""
_READ: Final = "SELECT version_num FROM regime_alembic_version"


def is_current(url: str) -> bool:
    """Say whether a database has exactly the newest revision; False wherever that cannot be seen."""
    try:
        with psycopg.connect(libpq_url(url)) as connection:
            return [row[0] for row in connection.execute(_READ).fetchall()] == [HEAD]
    except psycopg.Error:
        return False
