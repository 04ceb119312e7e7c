"""The embedded PostgreSQL server: binaries, cluster, directory, lifetime, upgrade between major versions."""
