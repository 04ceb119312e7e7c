"""Dagster's entry point: the chain, built from the environment's settings.

Importing this module reads the settings, and in a code server starts the process that its runs are forked of and has
them watched. See `pipeline.build` for the assembly, `pipeline.launchers` for the runs.
"""

from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.pipeline.launchers.forked import fork_runs
from regime_pipeline.pipeline.launchers.run_watch import keep_watching
from regime_pipeline.settings import Settings

_settings = Settings()
defs = build_definitions(_settings)
fork_runs(_settings.run_start)
keep_watching()
