"""The door to coding agents and to the project's own checks: processes, engines, prompts, answers."""
