"""Pieces that every page uses: tables, charts, sparklines, number formats, templates."""
