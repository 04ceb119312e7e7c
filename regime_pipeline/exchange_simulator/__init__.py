"""A local exchange over HTTP for tests and for trying things out: REST forms, an archive tree, a clock, and faults."""
