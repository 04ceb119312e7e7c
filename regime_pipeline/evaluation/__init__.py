"""The lab: labelled markets, baselines, calibration and the reports of `regime benchmark`; only the CLI imports it."""
