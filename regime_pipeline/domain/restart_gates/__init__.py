"""Restart gates: when a stopped grid may start again, bar by bar, with the value of every condition."""
