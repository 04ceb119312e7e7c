"""A process that serves leaves what it was loaded with out of garbage collections."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from regime_pipeline.api.kept_memory import keep_memory
before = gc.get_freeze_count()
keep_memory()
print(gc.get_freeze_count() - before > 5_000, len(gc.get_objects()) < 1_000, bytes(40 << 20) == bytearray(40 << 20))
"""


def test_what_is_loaded_is_not_searched_again() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "True", "True"]
