"""Dagster's own programs with a guard in front of the UI; `regime up` starts them. See `api.origin_guard`."""
