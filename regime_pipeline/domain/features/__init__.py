"""Hourly features from a window of bars: trend, mean reversion, volatility and discovered ranges."""
