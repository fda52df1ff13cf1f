"""The door to coding agents and the project's own checks: processes, engines, answers."""
