"""The MCP server: eight read-only tools that answer agents' questions about regimes, verdicts and grids.

Every rule stands below this package; here are questions, limits and wording. `server` alone needs the package `mcp`.
"""
