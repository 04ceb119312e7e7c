"""Verdicts of a span of history judged beside what came after: rows, figures and a report that needs no network."""
