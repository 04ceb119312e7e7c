"""Use cases shared by the pipeline and every face; no Dagster, no settings."""
