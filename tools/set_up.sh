#!/bin/sh
# Finds a Python of 3.11 or newer and lets it make .venv. Says in one line what is missing.
set -eu
cd "${0%/*}/.."

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# The environment's own Python answers when nothing changed, so that a second run costs next to nothing.
if [ -x .venv/bin/python ] && recent .venv/bin/python; then
    exec .venv/bin/python tools/set_up.py
fi
for name in python3.13 python3.12 python3.11 python3 python3.14 python; do
    if command -v "$name" >/dev/null 2>&1 && recent "$name"; then
        exec "$name" tools/set_up.py
    fi
done
echo "error: Python 3.11 or newer is needed and none was found on PATH." >&2
exit 1
