"""Importing candle files: what a set of files would change, and the change itself."""
