"""Where rows and snapshots rest: embedded server, engine, migrations, warehouse, snapshot files."""
