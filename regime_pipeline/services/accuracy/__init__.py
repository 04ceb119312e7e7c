"""Beside `services.judgement`: a quick bench for choosing thresholds, and agreement with hindsight on real candles."""
