"""Candle files: archives, CSV, JSON, Parquet and Feather, read whole and refused whole when anything is wrong."""
