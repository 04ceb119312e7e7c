"""The assets: the hourly chain in one file, the dashboard site in another."""
