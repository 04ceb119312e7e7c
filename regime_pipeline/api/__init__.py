"""The HTTP API: regimes, verdicts, grids and gates for programs; nothing is decided here that a service does not."""
