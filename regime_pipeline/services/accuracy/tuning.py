"""A quick bench for choosing thresholds: the engine alone on tuning seeds, with the sources of its errors.

Peers and the report stand in `judgement`; nothing here may be quoted as a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from regime_pipeline.domain.candles import Candles
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.features import compute_features
from regime_pipeline.domain.layout import VERDICTS
from regime_pipeline.domain.null_table import SECTIONS, NullTable
from regime_pipeline.domain.observations import Observations
from regime_pipeline.domain.scores import compute_scores, scores_hash
from regime_pipeline.domain.simulation import Difficulty, simulate, simulate_null
from regime_pipeline.domain.verdict_evidence import Evidence, apply_rules, gather, held_verdicts, instant_verdicts
from regime_pipeline.null_data import default_null_table
from regime_pipeline.policy import Policy
from regime_pipeline.services.accuracy.errors import SOURCES, changes, error_sources, short_run_share
from regime_pipeline.services.calibrate import make_null_table
from regime_pipeline.services.judgement.methods import CLASS_OF_VERDICT
from regime_pipeline.services.judgement.metrics import detection_delays, flips, interval, score
