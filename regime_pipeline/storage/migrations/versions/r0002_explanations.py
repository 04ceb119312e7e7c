"""Explanations are rendered, not stored: the statements in the file of the same name, and the policy until then."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

VERDICT_HASH = "f0649de13f6e041b"
ADVICE_HASH = "7de6e819c419c9f6"
"""Of rows that revision 1 decided under its shipped policy."""


def upgrade() -> None:
    here = Path(__file__)
    document = here.with_name("r0002_policy.json").read_text(encoding="utf-8")
    script = here.with_suffix(".sql").read_text(encoding="utf-8")
    for name, value in (("@VERDICT@", VERDICT_HASH), ("@ADVICE@", ADVICE_HASH), ("@DOCUMENT@", document)):
        script = script.replace(name, value)
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(script)
