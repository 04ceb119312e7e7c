"""Dagster's entry point: the chain, built from the environment's settings.

Nothing else belongs here; importing this module reads the settings.
"""

from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.settings import Settings

defs = build_definitions(Settings())
