"""From features to scores 0..100: ranks, the null table, range quality and grid capacity."""
