"""The Parquet lake: a copy of the tables for analysts, written by `regime export --parquet`."""
