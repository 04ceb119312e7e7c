"""Dagster's entry point: the chain, built from the environment's settings.

Importing this module reads the settings. See `pipeline.build` for the assembly.
"""

from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.settings import Settings

defs = build_definitions(Settings())
