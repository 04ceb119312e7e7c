"""Judging the engine beside its peers: arms, peers, metrics and the report of `regime benchmark accuracy`."""
