#!/bin/bash
# Downloads the corpora and the oracle to a folder outside of the repository,
# and makes the judge's lines of them in its folder corpus: fetch.sh CACHE.
# What is there already is not downloaded again. The lines are made anew when
# these programs change.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cache=$(cd "$1" && pwd)

missing=()
command -v python3 >/dev/null || missing+=(python3)
python3 -c "import ensurepip, venv" 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
	apt-get update -q
	apt-get install -qy --no-install-recommends "${missing[@]}"
fi

programs=("$here"/{fetch.sh,requirements.txt,sources.txt,modules.txt,Cargo.toml,corpus.py,oracle.py,rules.py})
state=$( (cat "${programs[@]}"; cargo --version 2>/dev/null || true) | sha256sum)
if [ "$(cat "$cache/state" 2>/dev/null)" = "$state" ]; then
	exit
fi
rm -f "$cache/state"

# The oracle.
"$cache/venv/bin/python" -c "" 2>/dev/null || python3 -m venv --clear "$cache/venv"
"$cache/venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"

# folders says where each corpus is, as arguments of corpus.py.
folders=()

# Python packages whose sources have queries.
mkdir -p "$cache/python"
while read -r package names; do
	folder=$cache/python/$package
	if [ ! -d "$folder" ]; then
		rm -rf "$cache/sdist" "$folder.part"
		"$cache/venv/bin/pip" download -q --disable-pip-version-check --no-deps \
			--no-binary "${package%%==*}" -d "$cache/sdist" "$package"
		mkdir "$folder.part"
		tar -xzf "$cache"/sdist/*.tar.gz -C "$folder.part" --strip-components 1
		mv "$folder.part" "$folder"
	fi
	for name in $names; do folders+=("$name=$folder"); done
done <"$here/sources.txt"

# sqlfluff's fixtures, which its source on PyPI lacks and sqruff's crate has.
# Debian's cargo may be too old for it, so it is no condition.
mkdir -p "$cache/crates/src"
cp "$here/Cargo.toml" "$cache/crates/Cargo.toml"
: >"$cache/crates/src/lib.rs"
if (cd "$cache/crates" && cargo vendor -q vendor >/dev/null); then
	folders+=("sqruff=$cache/crates/vendor/sqruff-lib-dialects")
else
	echo "sqlfluff's fixtures are left out: they need cargo 1.85 or later" >&2
fi

# The tests of parsers written in Go.
while read -r module; do
	folder=$(cd "$cache" && GOFLAGS=-mod=mod go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	name=${module%@*}
	folders+=("${name##*/}=$folder")
done <"$here/modules.txt"

rm -rf "$cache/corpus"
(cd "$here" && "$cache/venv/bin/python" -B -m unittest -q test_oracle.py)
"$cache/venv/bin/python" "$here/corpus.py" "$cache/corpus" "${folders[@]}"
echo "$state" >"$cache/state"
