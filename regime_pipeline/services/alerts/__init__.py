"""Alerts that people read: what happened in the last day, who is notified, when not, and never twice.

See `services.webhooks` for verdict changes and failed runs as JSON for programs.
"""
