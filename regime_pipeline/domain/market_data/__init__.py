"""Markets, windows, candles, hour completeness, resampling and hourly snapshots."""
