"""The official SDK's client: client.py MODE TARGETS.

MODE is how it finds the revision. TARGETS is JSON, a list of servers and the tools
to call there: {"url", "key", "good": {"name", "arguments"}, "bad", "slow"}. For each
it prints what it was told as one line of JSON."""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def walk(client, target):
    progress = []

    async def count(done, total, message):
        progress.append(done)

    async def call(which, **more):
        try:
            result = await client.call_tool(**target[which], **more)
        except Exception as error:  # some servers refuse bad arguments by an error
            return str(error)
        return " ".join(part.text for part in result.content if part.type == "text")

    told = {
        "protocol": client.protocol_version,
        "server": client.server_info.name,
        "tools": [tool.name for tool in (await client.list_tools()).tools],
        "resources": [str(resource.uri) for resource in (await client.list_resources()).resources],
        "prompts": [prompt.name for prompt in (await client.list_prompts()).prompts],
        "good": await call("good"),
        "bad": await call("bad"),
        "slow": await call("slow", progress_callback=count),
    }
    return {**told, "progress": len(progress) > 0}


async def main(mode, targets):
    for target in targets:
        headers = {"Authorization": "Bearer " + target["key"]} if target["key"] else {}
        try:
            async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
                async with Client(streamable_http_client(target["url"], http_client=http), mode=mode) as client:
                    told = await walk(client, target)
        except* Exception as errors:
            told = {"error": str(errors.exceptions)}
        print(json.dumps(told), flush=True)


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
