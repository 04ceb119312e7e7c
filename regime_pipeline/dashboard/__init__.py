"""The dashboard and the backtest report: rows become compact payloads, and payloads the files of a static site."""
