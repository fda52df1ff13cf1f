"""The door to git: the bot's own clone, worktrees, changes and commits."""
