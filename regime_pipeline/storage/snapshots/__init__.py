"""Hourly snapshot files: format, validation, store and readers."""
