"""An MCP server on FastMCP or on the official SDK: server.py LIBRARY PORT [mounted].

Mounted, it is an application inside another one, which redirects /mcp to /mcp/."""

import asyncio
import sys

library, port = sys.argv[1], int(sys.argv[2])
if library == "fastmcp":
    from fastmcp import Context
    from fastmcp import FastMCP as Server
else:
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver import MCPServer as Server

server = Server("real")


@server.tool()
def test_simple_text() -> str:
    return "This is a simple text response for testing."


@server.tool()
def test_error_handling() -> str:
    raise ValueError("This tool intentionally returns an error for testing")


@server.tool()
async def test_tool_with_progress(context: Context, steps: int = 3, seconds: float = 0.1) -> str:
    for step in range(steps):
        await context.report_progress(step, steps)
        await asyncio.sleep(seconds / steps)
    return "done"


@server.tool()
def query(sql: str, limit: int = 10) -> list[dict]:
    return [{"id": n, "sql": sql} for n in range(limit)]


@server.resource("test://static-text")
def static_text() -> str:
    return "static"


@server.resource("test://template/{name}/data")
def template(name: str) -> str:
    return name


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"{arg1} {arg2}"


if "mounted" in sys.argv:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount

    inner = server.http_app(path="/")
    uvicorn.run(Starlette(routes=[Mount("/mcp", inner)], lifespan=inner.lifespan), host="127.0.0.1", port=port)
else:
    server.run(transport="streamable-http", host="127.0.0.1", port=port)
