"""Texts of many materializations, equal to those of Dagster's serializer.

The materializations of a step differ in partition, metadata, tags and time alone. What they share is serialized once;
Dagster's own serializer, which takes every object apart by its field names, costs ten times as much.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

from dagster import AssetMaterialization, EventLogEntry, FloatMetadataValue, IntMetadataValue, TextMetadataValue
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster_shared.serdes import serialize_value

_OF_ENTRY: Final = attrgetter(*(name for name in EventLogEntry._fields if name not in {"timestamp", "dagster_event"}))
_OF_EVENT: Final = attrgetter(*(name for name in DagsterEvent._fields if name != "event_specific_data"))
_OF_MATERIALIZATION: Final = attrgetter("asset_key", "description")
_VALUES: Final[Mapping[type, tuple[str, str]]] = {
    IntMetadataValue: ("IntMetadataEntryData", "value"),
    FloatMetadataValue: ("FloatMetadataEntryData", "value"),
    TextMetadataValue: ("TextMetadataEntryData", "text"),
}
"""Metadata that is written here, each as its class and field in the text."""
_PLAIN: Final = (int, float, str)
_text = json.JSONEncoder(sort_keys=True).encode


def shared_text(entry: EventLogEntry, text: str) -> SharedText | None:
    """Return what writes texts of the events like one; None for another kind of event, or for another Dagster.

    Parameters
    ----------
    entry : EventLogEntry
        The event.
    text : str
        What Dagster's `serialize_value` returns for it.
    """
    if _materialization(entry) is None:
        return None
    shared = SharedText(entry, text)
    return shared if shared.text_of(entry) == text else None


class SharedText:
    """What a step's materializations share, around the places of what differs; see `shared_text`."""

    def __init__(self, entry: EventLogEntry, text: str) -> None:
        materialization = _materialization(entry)
        inner = serialize_value(materialization)
        self._shared = _shared(entry, materialization)
        self._before, _, rest = text.partition(inner)
        self._between, _, self._after = rest.rpartition(_timestamp(entry))
        self._asset = inner.partition(', "metadata_entries": ')[0]

    def text_of(self, entry: EventLogEntry) -> str | None:
        """Return an event's text; None where it differs in anything else, or has metadata of another kind."""
        materialization = _materialization(entry)
        if materialization is None or _shared(entry, materialization) != self._shared:
            return None
        metadata = [_metadata_text(label, value) for label, value in materialization.metadata.items()]
        if None in metadata:
            return None
        return (
            f'{self._before}{self._asset}, "metadata_entries": [{", ".join(map(str, metadata))}], "partition": '
            f'{_text(materialization.partition)}, "tags": {_text(materialization.tags or {})}}}'
            f"{self._between}{_timestamp(entry)}{self._after}"
        )


def _shared(entry: EventLogEntry, materialization: AssetMaterialization | None) -> tuple[Any, ...]:
    return _OF_ENTRY(entry), _OF_EVENT(entry.dagster_event), _OF_MATERIALIZATION(materialization)


def _materialization(entry: EventLogEntry) -> AssetMaterialization | None:
    """Return the materialization of an event that is nothing else; None for other events."""
    event = entry.dagster_event
    data = None if event is None else event.event_specific_data
    if type(data) is not StepMaterializationData or data.asset_lineage:
        return None
    return data.materialization


def _metadata_text(label: str, value: Any) -> str | None:
    known = _VALUES.get(type(value))
    plain = None if known is None else getattr(value, known[1])
    if known is None or type(plain) not in _PLAIN:
        return None
    name, field = known
    return (
        f'{{"__class__": "EventMetadataEntry", "description": null, "entry_data": {{"__class__": "{name}", "{field}": '
        f'{_text(plain)}}}, "label": {_text(label)}}}'
    )


def _timestamp(entry: EventLogEntry) -> str:
    return f'"timestamp": {_text(entry.timestamp)}'
