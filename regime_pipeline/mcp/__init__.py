"""The MCP server: read-only tools that answer agents' questions about regimes, verdicts, grids and bands.

Every rule stands below this package; here are questions, limits and wording. `server` alone needs the package `mcp`.
"""
