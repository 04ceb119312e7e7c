"""Grids: configuration and its versions, comparison, advice, the grid after a restart, a simulator of fills."""
