"""Pure rules of regimes, verdicts and grids: no Dagster, SQL, HTTP, clock, environment or files."""
