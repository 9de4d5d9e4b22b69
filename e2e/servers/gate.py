"""Starts the built binary with one gate in front of each server, and reads the
ledger back."""

import http.client
import json
import os
import secrets
import time
from pathlib import Path

import databases
import install

EMAIL = "servers@example.com"


class Gate:
    """One process: a gate on a port of its own for each server, the admin API,
    an embedded store and ledger."""

    def __init__(self, processes, binary, servers):
        self.processes = processes
        self.binary = binary or self._build()
        self.admin = databases.free_port()
        self.upstreams = {s.name: databases.free_port() for s in servers}
        self.gates = {s.name: databases.free_port() for s in servers}
        self._start(servers)
        self.token = self._ask("POST", "/api/auth/login", {"email": EMAIL, "password": self.password})["access_token"]
        self.key = self._ask("POST", "/api/mcp-keys/create", {"key_name": "servers"})["api_key"]

    def url(self, server):
        return f"http://127.0.0.1:{self.gates[server.name]}/mcp"

    def rows(self):
        """The rows of the ledger by the ids of their requests."""
        lines = self._read("GET", "/api/mcp-usage/export?format=ndjson", None).splitlines()
        return {json.loads(row["request_id"]): row for row in map(json.loads, lines)}

    def wait_for_rows(self, number, seconds=30):
        """Waits until the ledger has that many rows, and returns them."""
        deadline = time.monotonic() + seconds
        while len(rows := self.rows()) < number and time.monotonic() < deadline:
            time.sleep(0.2)
        return rows

    def _build(self):
        binary = self.processes.folder / "tallygate"
        install.run("go", "build", "-trimpath", "-o", binary, ".", cwd=databases.ROOT, env={**os.environ, "CGO_ENABLED": "0"})
        return binary

    def _start(self, servers):
        self.password = secrets.token_urlsafe(16)
        data = self.processes.folder / "gate"
        data.mkdir()
        sites = "".join(self._site(s) for s in servers)
        config = data / "Caddyfile"
        config.write_text(f"""{{
	admin off
	tallygate {{
		store sqlite:{data}/tallygate.db
		ledger sqlite:{data}/usage.db
		journal {data}/journal
	}}
}}
http://127.0.0.1:{self.admin} {{
	tallygate_admin
}}
{sites}""")
        env = {**os.environ, "XDG_CONFIG_HOME": str(data), "XDG_DATA_HOME": str(data),
               "TALLYGATE_ADMIN_EMAIL": EMAIL, "TALLYGATE_ADMIN_PASSWORD": self.password}
        process = self.processes.start("tallygate", [Path(self.binary).resolve(), "run", "--config", config, "--adapter", "caddyfile"], env=env, cwd=data)
        self.processes.wait_for(process, lambda: databases.listening(self.admin))

    def _site(self, server):
        rule = "".join(f"\n\t\t\t{line}" for line in server.rule)
        block = f" {{\n\t\ttool * {{{rule}\n\t\t}}\n\t}}" if rule else ""
        return f"""http://127.0.0.1:{self.gates[server.name]} {{
	tallygate{block}
	reverse_proxy 127.0.0.1:{self.upstreams[server.name]} {{
		header_up Host {{upstream_hostport}}
	}}
}}
"""

    def _ask(self, method, path, body):
        return json.loads(self._read(method, path, body))

    def _read(self, method, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        try:
            headers = {"Content-Type": "application/json"}
            if hasattr(self, "token"):
                headers["Authorization"] = "Bearer " + self.token
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read().decode()
            if response.status != 200 and response.status != 201:
                raise RuntimeError(f"{path}: HTTP {response.status}: {text[:500]}")
            return text
        finally:
            connection.close()
