"""regime_pipeline: which regime is a market in, why, and what should a grid do about it.

The names of the Python API are here and load on first use; importing the package costs nothing and touches nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regime_pipeline.component import RegimeChain
    from regime_pipeline.domain.errors import RegimeError
    from regime_pipeline.domain.hold.outlook import Band
    from regime_pipeline.importing import import_candles
    from regime_pipeline.policy import Policy, default_policy, load_policy
    from regime_pipeline.python_api.candles import CandleRegime, StreamingClassifier, classify_candles
    from regime_pipeline.python_api.hold import band_for, hold_probability
    from regime_pipeline.python_api.inputs import read
    from regime_pipeline.python_api.join import join
    from regime_pipeline.python_api.plots import plot_regimes
    from regime_pipeline.python_api.regime_storage import RegimeStorage
    from regime_pipeline.python_api.verdicts import analyze_snapshot, verdicts, verdicts_many
    from regime_pipeline.services.analysis_service import RegimeAnalysisService
    from regime_pipeline.storage.snapshots.reader import SnapshotReader
    from regime_pipeline.storage.snapshots.store import SnapshotStore

__version__ = "0.1.0"
__all__ = [
    "Band",
    "CandleRegime",
    "Policy",
    "RegimeAnalysisService",
    "RegimeChain",
    "RegimeError",
    "RegimeStorage",
    "SnapshotReader",
    "SnapshotStore",
    "StreamingClassifier",
    "analyze_snapshot",
    "band_for",
    "classify_candles",
    "default_policy",
    "hold_probability",
    "import_candles",
    "join",
    "load_policy",
    "plot_regimes",
    "read",
    "verdicts",
    "verdicts_many",
]
_HOMES = {
    "Band": "domain.hold.outlook",
    "CandleRegime": "python_api.candles",
    "Policy": "policy",
    "RegimeAnalysisService": "services.analysis_service",
    "RegimeChain": "component",
    "RegimeError": "domain.errors",
    "RegimeStorage": "python_api.regime_storage",
    "SnapshotReader": "storage.snapshots.reader",
    "SnapshotStore": "storage.snapshots.store",
    "StreamingClassifier": "python_api.candles",
    "analyze_snapshot": "python_api.verdicts",
    "band_for": "python_api.hold",
    "classify_candles": "python_api.candles",
    "default_policy": "policy",
    "hold_probability": "python_api.hold",
    "import_candles": "importing",
    "join": "python_api.join",
    "load_policy": "policy",
    "plot_regimes": "python_api.plots",
    "read": "python_api.inputs",
    "verdicts": "python_api.verdicts",
    "verdicts_many": "python_api.verdicts",
}
_EXTRAS = {
    "RegimeChain": ("dagster", "pipeline"),
    "RegimeStorage": ("psycopg", "database"),
    "import_candles": ("psycopg", "database"),
}
"""What names need beyond the core, and the extra that brings it."""


def __getattr__(name: str) -> Any:
    """Load a name of the Python API."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if str(error.name).startswith(__name__):
            raise
        _, extra = _EXTRAS.get(name, ("", "database"))
        hint = f"{name} needs {error.name}: pip install 'regime-pipeline[{extra}]'"
        raise ModuleNotFoundError(hint, name=error.name) from error


def __dir__() -> list[str]:
    """The names that can be used here; Dagster's `dg` loads every one of them, to see which are components."""
    from importlib.util import find_spec  # as the rest: nothing is loaded before it is needed

    return [*globals(), *(name for name in __all__ if name not in _EXTRAS or find_spec(_EXTRAS[name][0]))]
