"""How Dagster starts a run: a process on this machine (`default`), or a Celery worker (`celery`)."""
