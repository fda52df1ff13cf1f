#!/bin/sh
# Be the worker of the repository in the current folder: `repoagents run`, with the arguments given.
set -eu

checkout=$(cd -- "$(dirname -- "$0")/../../.." && pwd)

if command -v repoagents >/dev/null 2>&1; then
    exec repoagents run "$@"
elif [ -x "$checkout/.venv/bin/repoagents" ]; then
    exec "$checkout/.venv/bin/repoagents" run "$@"
fi
exec uv run --project "$checkout" repoagents run "$@"
