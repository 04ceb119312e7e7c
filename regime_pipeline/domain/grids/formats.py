"""Grid histories as TOML and JSON texts, and back, without losing a digit.

Reading and writing files does not belong here; other bots' formats stand in `exports`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import tomlkit

from regime_pipeline.documents import parse_toml, shallow
from regime_pipeline.domain.grids.config import GridConfig, GridConfigError
from regime_pipeline.domain.grids.versions import History, check_history
from regime_pipeline.domain.window import to_iso

SCHEMA_VERSION: Final = 1


def to_fields(config: GridConfig) -> dict[str, Any]:
    """Return a version as plain values: numbers as decimal texts, the time as ISO-8601, no absent limits."""
    values = {name: value for name, value in config.model_dump().items() if value is not None}
    plain = {name: format(value, "f") if isinstance(value, Decimal) else value for name, value in values.items()}
    return plain | {"valid_from": to_iso(config.valid_from_ms)}


def to_json(configs: Iterable[GridConfig]) -> str:
    """Print versions as JSON."""
    return json.dumps(_document(configs), indent=2)


def to_toml(configs: Iterable[GridConfig]) -> str:
    """Print versions as TOML, one table `[[grids]]` each."""
    return tomlkit.dumps(_document(configs))


def from_json(text: str) -> dict[str, History]:
    """Read the histories of a JSON text by symbol; numbers may also stand bare and keep every digit.

    Raises
    ------
    GridConfigError
        The text is no JSON, or anything in it is refused; every fault is named with its place.
    """
    return _histories(text, lambda given: shallow(_parse_json, given))


def from_toml(text: str) -> dict[str, History]:
    """Read the histories of a TOML text by symbol; numbers may also stand bare and keep every digit.

    Raises
    ------
    GridConfigError
        The text is no TOML, or anything in it is refused; every fault is named with its place.
    """
    return _histories(text, lambda given: parse_toml(given, Decimal))


def _parse_json(text: str) -> Any:
    """Parse; an escape that is half a character is refused here, where it can still be named."""
    found = json.loads(text, parse_float=Decimal)
    json.dumps(found, ensure_ascii=False, default=str).encode("utf-8")
    return found


def _document(configs: Iterable[GridConfig]) -> dict[str, Any]:
    """What a file holds."""
    return {"schema_version": SCHEMA_VERSION, "grids": [to_fields(config) for config in configs]}


def _histories(text: str, parse: Callable[[str], Any]) -> dict[str, History]:
    """Parse, build every version, and group them by symbol in the order of the text."""
    try:
        document = parse(text)
    except (ValueError, ArithmeticError) as error:
        raise GridConfigError([f"the text cannot be read: {error}"], "Mend the text there.") from error
    configs = _versions(_entries(document))
    symbols = dict.fromkeys(config.symbol for config in configs)
    return {symbol: check_history([config for config in configs if config.symbol == symbol]) for symbol in symbols}


def _entries(document: Any) -> list[dict[str, Any]]:
    """The tables of a document."""
    if not isinstance(document, dict) or document.keys() != {"schema_version", "grids"}:
        raise GridConfigError(["the text must hold schema_version and grids, and nothing else"])
    if document["schema_version"] != SCHEMA_VERSION:
        raise GridConfigError([f"schema_version = {document['schema_version']!r}: must be {SCHEMA_VERSION}"])
    entries = document["grids"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise GridConfigError(["grids: must be a list of tables"])
    return entries


def _versions(entries: Sequence[dict[str, Any]]) -> list[GridConfig]:
    """Every table as a version; the faults of all of them in one error."""
    configs, faults = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            configs.append(GridConfig(**entry))
        except GridConfigError as error:
            faults += [f"grids[{number}].{fault}" for fault in error.faults]
    if faults:
        raise GridConfigError(faults)
    return configs
