#!/bin/sh
# Make a handoff bundle of the repository in the current folder, with fresh reports, and say what to
# open first. Exit code 1: the bundle is there, and github-smoke found something in error.
set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd)
checkout=$(cd -- "$here/../../.." && pwd)
fixture=ops/github-smoke.fixture.json

bot() {
    if command -v repoagents >/dev/null 2>&1; then
        repoagents "$@"
    elif [ -x "$checkout/.venv/bin/repoagents" ]; then
        "$checkout/.venv/bin/repoagents" "$@"
    else
        uv run --project "$checkout" repoagents "$@"
    fi
}

if [ ! -d .ai-repoagents ]; then
    echo "$PWD has no .ai-repoagents folder: go to the repository's top, or: repoagents init" >&2
    exit 2
fi

# For the rehearsal, which reads tracker.smoke_fixture_path. Untracked, it does not count as dirty.
if [ ! -e "$fixture" ]; then
    mkdir -p ops
    cp "$here/github-smoke.fixture.json" "$fixture"
    echo "copied: $fixture"
fi

found=0
bot github smoke >/dev/null || found=$?
if [ "$found" -gt 1 ]; then
    exit "$found"
fi
bot ops snapshot --archive

echo
echo "Open in this order (handoff-order.md says why):"
for name in index.html ops-brief.md github-smoke.md ops-status.md dashboard.html; do
    echo "  $name"
done
exit "$found"
