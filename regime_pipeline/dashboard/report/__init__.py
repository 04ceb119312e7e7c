"""The backtest report: one self-contained HTML page. Figures come from `services.backtest`."""
