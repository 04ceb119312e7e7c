"""Adapters to programs that people trade with; each imports nothing of the program itself."""
