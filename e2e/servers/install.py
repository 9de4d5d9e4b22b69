"""Installs the servers, each in a folder of its own and at a pinned version,
and the databases that they need.

install.py npm|pypi PACKAGE installs one package, and prints its folder of commands."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tallygate" / "servers"

# The Debian packages, by a command of each.
DEBIAN = {"mariadbd": "mariadb-server", "redis-server": "redis-server", "npm": "npm"}


class Missing(Exception):
    """What could not be installed or found, and what to do."""


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        raise Missing(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}")
    return done.stdout


def debian():
    """Installs the databases from Debian, unless they are there."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [package for command, package in DEBIAN.items() if not shutil.which(command)]
    if not list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        missing.append("postgresql")
    if missing:
        say("apt-get install", *missing)
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-q", env=env)
        run("apt-get", "install", "-qy", "--no-install-recommends", *missing, env=env)


def python(minor):
    """Returns a Python of 3.minor or later: what is on the path, or pyenv's."""
    names = [shutil.which(name) for name in ("python3.14", "python3.13", "python3.12", "python3")]
    names += sorted(map(str, (Path.home() / ".pyenv/versions").glob("3.1[2-9]*/bin/python3")), reverse=True)
    for name in filter(None, names):
        test = f"import sys, venv, ensurepip; sys.exit(sys.version_info < (3, {minor}))"
        if subprocess.run([name, "-c", test], capture_output=True).returncode == 0:
            return name
    raise Missing(f"this needs Python 3.{minor} or later with venv: install it, or put it on the PATH")


def pypi(package, needs=(), no_deps=False, minor=12):
    """Installs a package of PyPI and returns its folder of commands. needs are
    further requirements; with no_deps they stand for the package's own. The
    package needs Python 3.minor."""
    folder = CACHE / "pypi" / package
    if not (folder / "installed").exists():
        say("pip install", package)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        run(python(minor), "-m", "venv", folder)
        pip = [folder / "bin/pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:"]
        if no_deps:
            run(*pip, "--no-deps", package)
            run(*pip, *needs)
        else:
            run(*pip, package, *needs)
        (folder / "installed").touch()
    return folder / "bin"


def npm(package):
    """Installs a package of npm and returns its folder of commands."""
    folder = CACHE / "npm" / package.lstrip("@").replace("/", "+")
    if not (folder / "installed").exists():
        say("npm install", package)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}\n')
        run("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder, package)
        (folder / "installed").touch()
    return folder / "node_modules/.bin"


def main(registry, package):
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:  # several test processes may want the same package
        fcntl.flock(lock, fcntl.LOCK_EX)
        print(npm(package) if registry == "npm" else pypi(package, minor=11))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Missing as missing:
        sys.exit(str(missing))
