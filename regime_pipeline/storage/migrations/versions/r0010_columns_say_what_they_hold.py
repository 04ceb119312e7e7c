"""Every column says what it holds: `admin.comments` writes that after any upgrade, so this one has nothing to do."""

from __future__ import annotations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing else."""
