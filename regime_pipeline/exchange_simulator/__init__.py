"""A stand-in for an exchange: its HTTP interfaces, its archive and its faults, served out of any candle source."""
