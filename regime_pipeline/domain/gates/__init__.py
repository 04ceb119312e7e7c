"""Restart gates: when a stopped grid may start again, bar by bar, with every condition's value."""
