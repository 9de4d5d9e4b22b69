"""Starts the databases on free ports of 127.0.0.1, with their data in a
temporary folder, and fills them with the data of battery.py."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from pathlib import Path

import battery
import install

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "shop-password"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Processes:
    """The processes that a run started. Each is the first of a group of its
    own, and the whole group is ended with it."""

    def __init__(self, folder):
        self.folder, self.running = Path(folder), []

    def start(self, name, command, **more):
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, start_new_session=True,
                                   **{"stdin": subprocess.DEVNULL, **more})
        process.log = self.folder / f"{name}.log"
        self.running.append(process)
        return process

    def wait_for(self, process, ready, seconds=60):
        """Waits until ready() is true."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if ready():
                    return
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args[0]} did not start:\n" + process.log.read_text(errors="replace")[-3000:])
            time.sleep(0.1)

    def stop(self, process):
        if process in self.running:
            self.running.remove(process)
            for how in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, how)
                    process.wait(5)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    pass

    def stop_all(self):
        for process in reversed(list(self.running)):
            self.stop(process)


def listening(port):
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


class Databases:
    """The databases of a run. A new database with the same data is made for
    each server, so that no server sees what another wrote."""

    def __init__(self, processes):
        self.processes, self.folder, self.made = processes, processes.folder, 0
        self.started = {}

    def new(self, dialect):
        """Makes a database and returns what a server needs to reach it."""
        self.made += 1
        return getattr(self, dialect)()

    def once(self, name, start):
        if name not in self.started:
            self.started[name] = start()
        return self.started[name]

    def sqlite(self):
        path = self.folder / f"shop{self.made}.db"
        with sqlite3.connect(path) as db:
            db.executescript(battery.schema("sqlite"))
        db.close()
        return {"path": path}

    def duckdb(self):
        path = self.folder / f"shop{self.made}.duckdb"
        python = install.pypi(*install_duckdb()) / "python"
        install.run(python, "-c", "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.stdin.read())",
                    path, input=battery.schema("duckdb"))
        return {"path": path}

    def postgres(self):
        bin, port = self.once("postgres", self._start_postgres)
        psql = [bin / "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "shop", "-v", "ON_ERROR_STOP=1", "-q"]
        env = {**os.environ, "PGPASSWORD": PASSWORD}
        name = f"shop{self.made}"
        install.run(*psql, "-d", "postgres", "-c", f"CREATE DATABASE {name}", env=env)
        install.run(*psql, "-d", name, env=env, input=battery.schema("postgres") + "ANALYZE;")
        return {"host": "127.0.0.1", "port": port, "user": "shop", "password": PASSWORD, "database": name,
                "url": f"postgresql://shop:{PASSWORD}@127.0.0.1:{port}/{name}"}

    def _start_postgres(self):
        bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        data, port = self.folder / "postgres", free_port()
        data.mkdir()
        as_user = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(data, "postgres", "postgres")
            for above in (self.folder, *self.folder.parents):
                if above == Path("/tmp"):
                    break
                above.chmod(above.stat().st_mode | 0o011)
            as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        password = self.folder / "postgres.password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        install.run(*as_user, bin / "initdb", "-D", data, "-U", "shop", "--auth=scram-sha-256", f"--pwfile={password}",
                    "--encoding=UTF8", "--locale=C.UTF-8", cwd="/")
        server = self.processes.start("postgres", [*as_user, bin / "postgres", "-D", data, "-h", "127.0.0.1", "-p", port,
                                                   "-k", data, "-c", "fsync=off"], cwd="/")
        self.processes.wait_for(server, lambda: listening(port))
        return bin, port

    def mysql(self):
        port = self.once("mariadb", self._start_mariadb)
        name = "shop"  # battery.py names it
        install.run("mariadb", "-h", "127.0.0.1", "-P", str(port), "-u", "shop", f"-p{PASSWORD}", "--default-character-set=utf8mb4",
                    input=f"DROP DATABASE IF EXISTS {name};\nCREATE DATABASE {name} CHARACTER SET utf8mb4;\nUSE {name};\n" + battery.schema("mysql"))
        return {"host": "127.0.0.1", "port": port, "user": "shop", "password": PASSWORD, "database": name}

    def _start_mariadb(self):
        data, port = self.folder / "mariadb", free_port()
        user = ["--user=root"] if os.geteuid() == 0 else []
        install.run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", *user)
        init = self.folder / "mariadb.sql"
        init.write_text(f"CREATE OR REPLACE USER shop@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO shop@'%';\n")
        server = self.processes.start("mariadb", ["mariadbd", "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
                                                  f"--socket={self.folder}/mariadb.sock", f"--pid-file={self.folder}/mariadb.pid",
                                                  "--skip-name-resolve", f"--init-file={init}", *user])
        self.processes.wait_for(server, lambda: listening(port))
        return port

    def clickhouse(self):
        port = self.once("clickhouse", self._start_clickhouse)

        def do(sql, database="default"):
            url = f"http://127.0.0.1:{port}/?database={database}"
            urllib.request.urlopen(url, sql.encode(), timeout=60).read()

        do("DROP DATABASE IF EXISTS shop")
        do("CREATE DATABASE shop")
        for statement in battery.schema("clickhouse").removesuffix(";\n").split(";\n"):
            do(statement, "shop")
        return {"host": "127.0.0.1", "port": port, "user": "default", "password": "", "database": "shop"}

    def _start_clickhouse(self):
        library = Path(os.environ.get("TALLYGATE_TEST_LIBCHDB") or ROOT / "e2e/npm/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")
        if not library.exists():
            raise install.Missing(f"there is no {library}: run `make deps`")
        chserver, data = self.folder / "chserver", self.folder / "clickhouse"
        install.run("go", "build", "-o", chserver, "./chserver", cwd=ROOT / "e2e", env={**os.environ, "CGO_ENABLED": "0"})
        data.mkdir()
        http = free_port()
        server = self.processes.start("clickhouse", [chserver, "-lib", library, "-path", data, "-ports", data / "ports",
                                                     "-tcp", free_port(), "-http", http], cwd=data, stdin=subprocess.PIPE)
        self.processes.wait_for(server, lambda: listening(http))
        return http

    def redis(self):
        port = self.once("redis", self._start_redis)
        commands = ["FLUSHALL"] + [f"RPUSH list {' '.join(f'item-{i}' for i in range(1, 6))}", 'SET text "[1, 2, 3]"', "SET greeting hello",
                                   "HSET customer:1 name Ada email ada@example.com", "HSET customer:2 name Bob",
                                   "SADD tags a b c", "ZADD scores 1 one 2 two 3 three", "XADD events 1-1 kind a", "XADD events 1-2 kind b"]
        install.run("redis-cli", "-h", "127.0.0.1", "-p", str(port), input="\n".join(commands) + "\n")
        return {"host": "127.0.0.1", "port": port}

    def _start_redis(self):
        port = free_port()
        server = self.processes.start("redis", ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", self.folder])
        self.processes.wait_for(server, lambda: listening(port))
        return port


def install_duckdb():
    """The package whose environment has DuckDB's Python module."""
    return ("mcp-server-motherduck==1.1.0",)
