"""Bulk reads and writes of the hourly tables: COPY format, diff, ledger, stale ranges, periods."""
