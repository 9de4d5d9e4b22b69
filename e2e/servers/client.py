"""A small MCP client over streamable HTTP that keeps each answer as it came."""

import http.client
import json
import urllib.parse

REVISION = "2025-06-18"


class Client:
    def __init__(self, url, key=None, timeout=120):
        self.url, self.timeout, self.ids = urllib.parse.urlsplit(url), timeout, 0
        self.headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if key:
            self.headers["Authorization"] = "Bearer " + key

    def open(self):
        """Opens a session and returns the server's name and version, and its tools by name."""
        answer = self._request("initialize", {
            "protocolVersion": REVISION, "capabilities": {}, "clientInfo": {"name": "servers", "version": "1"}})
        self.headers["MCP-Protocol-Version"] = answer["result"]["protocolVersion"]
        self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.info = answer["result"]["serverInfo"]
        self.tools, cursor = {}, None
        while True:
            answer = self._request("tools/list", {"cursor": cursor} if cursor else {})["result"]
            self.tools.update({tool["name"]: tool for tool in answer["tools"]})
            cursor = answer.get("nextCursor")
            if not cursor:
                return

    def call(self, id, tool, arguments):
        """Calls a tool and returns the request and the text of the message that answers it."""
        request = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        return request, self._post(request)

    def _request(self, method, params):
        self.ids += 1
        answer = json.loads(self._post({"jsonrpc": "2.0", "id": self.ids, "method": method, "params": params}))
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer

    def _post(self, message):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=self.timeout)
        try:
            connection.request("POST", self.url.path, json.dumps(message), self.headers)
            response = connection.getresponse()
            if response.getheader("Mcp-Session-Id"):
                self.headers["Mcp-Session-Id"] = response.getheader("Mcp-Session-Id")
            body = response.read().decode()
            if response.status >= 300:
                raise RuntimeError(f"{message['method']}: HTTP {response.status}: {body[:500]}")
            if (response.getheader("Content-Type") or "").startswith("text/event-stream"):
                return reply(body, message.get("id"))
            return body.strip()
        finally:
            connection.close()


def reply(stream, id):
    """Returns the data of the event that answers the request with that id."""
    for event in stream.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:"))
        if data and (message := json.loads(data)).get("id") == id and "method" not in message:
            return data
    raise RuntimeError(f"no answer to {id!r} in the event stream")
