"""Released revisions of the schema: frozen statements, never derived from code that may change."""
