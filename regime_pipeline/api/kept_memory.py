"""Memory of a process that serves: what it was loaded with is not searched for garbage, what it freed is used again.

See `cli.serve`, which calls this once, when the application is made.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from typing import Final

_MOST_KEPT_BYTES: Final = 64 << 20
"""Freed memory beyond it goes back to the system."""
_LARGEST_KEPT_BYTES: Final = 32 << 20
"""The most that glibc lets a block have that is not of the system at once."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the two parameters in glibc's malloc.h."""


def keep_memory() -> None:
    """Spare the process pauses of the garbage collector, and the pages of large answers being fetched again each time.

    Each of them is given back and fetched page by page otherwise, which takes longer than to render it. Without glibc
    only the first is done.
    """
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, TypeError, AttributeError):  # no such library, on Windows; another one, on macOS
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, _MOST_KEPT_BYTES)
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
