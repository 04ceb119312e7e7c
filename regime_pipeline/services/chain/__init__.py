"""The hourly chain as plain functions: the stages behind the assets, their schedule, checks and summary."""
