"""Alembic environment and revisions, inside the package so that the wheel carries them."""
