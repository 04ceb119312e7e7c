"""One file per layer of the chain; assets are thin."""
