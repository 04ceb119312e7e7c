"""The command line, regime."""
