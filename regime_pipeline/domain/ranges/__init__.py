"""One range discovery method per file, and their consensus."""
