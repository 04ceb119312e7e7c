"""Documents that people write or download (policies, market lists, grids, bundles): read and parsed within size limits.

Every refusal is a `ValueError` or `OSError`; the module that knows the document turns it into its own error.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 1 << 20
"""Most bytes of a document that a person writes."""
_MAX_KEY_PARTS: Final = 32
_DEEP_KEY: Final = re.compile(
    rf"(?<![\w\-])(?:(?:[\w\-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_MAX_KEY_PARTS}}}", re.ASCII
)
"""A dotted key so deep that tomllib, which is quadratic in its parts, would take minutes."""
_LONG_NUMBER: Final = re.compile("0[xob][0-9A-Fa-f_]{1024}")
"""Python makes an integer of it that it then refuses to print, even into the message of an error."""


def read_document(path: Path, limit: int = MAX_BYTES) -> str:
    """Return a file's text; raises `OSError`, or `ValueError` where it is too large or not UTF-8."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it is larger than {limit >> 10:,} KiB")
    return data.decode("utf-8")


def parse_toml(text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Return what a TOML text holds; raises `ValueError` where it is not TOML or nested too deeply."""
    if _DEEP_KEY.search(text):
        raise ValueError(f"a key has more than {_MAX_KEY_PARTS} parts")
    if _LONG_NUMBER.search(text):
        raise ValueError("a number has more than 1,024 digits")
    found: dict[str, Any] = shallow(lambda given: tomllib.loads(given, parse_float=parse_float), text)
    return found


def shallow(parse: Callable[[str], Any], text: str) -> Any:
    """Parse a text; raises `ValueError` where the parser gives up on its depth."""
    try:
        return parse(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
