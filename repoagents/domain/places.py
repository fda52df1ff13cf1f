"""Where things lie below the control plane's folder: for rooms that do not know each other."""

DATABASE = "state/repoagents.sqlite"
"""The state, unless it is in PostgreSQL."""

LOCATION = "state/location.json"
"""Where the state is, for readers that load no configuration."""

EXPORT = "state/runs.json"
"""The runs for people and scripts; the database is the truth."""

LOG = "logs/repoagents.jsonl"
"""The log; the files before it have a number behind their name."""
