"""The hourly verdict: rules, hysteresis, weights and confidence, explanation, the dashboard row."""
