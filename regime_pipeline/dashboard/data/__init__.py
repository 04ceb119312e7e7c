"""What the pages show, as compact payloads: market rows, prices, grid events, the latest hour."""
