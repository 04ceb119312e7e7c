"""Grids: configuration and versions, comparison, advice, quick stops, and the probationary grid after a restart."""
