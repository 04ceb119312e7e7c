"""The only importer of Dagster: partitions, resources, assets, checks, sensors and jobs."""
