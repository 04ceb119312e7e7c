"""Where rows and snapshots are stored: warehouse, tables, connection pool, embedded server, snapshot files."""
