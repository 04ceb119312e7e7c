"""The static site: its pages, the parts they are made of, and the folder they are written to."""
