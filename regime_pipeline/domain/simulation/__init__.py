"""Simulated markets with known regimes, for tests, the demo and the accuracy report."""
