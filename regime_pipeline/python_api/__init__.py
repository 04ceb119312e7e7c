"""The Python API for notebooks and strategies: thin names over the domain, frames in and out, no database."""
