"""The dashboard: rows become compact payloads, and payloads the files of a static site.

Reading rows does not belong here.
"""
