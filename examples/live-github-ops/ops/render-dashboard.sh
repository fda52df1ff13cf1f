#!/bin/sh
# Draw the dashboard of the repository in the current folder; an open page reads itself anew.
set -eu

checkout=$(cd -- "$(dirname -- "$0")/../../.." && pwd)
set -- dashboard --refresh-seconds 30 "$@"

if command -v repoagents >/dev/null 2>&1; then
    exec repoagents "$@"
elif [ -x "$checkout/.venv/bin/repoagents" ]; then
    exec "$checkout/.venv/bin/repoagents" "$@"
fi
exec uv run --project "$checkout" repoagents "$@"
