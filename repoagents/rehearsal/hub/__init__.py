"""A GitHub of one repository on 127.0.0.1: stateful, over real HTTP, with real git behind it."""

from repoagents.rehearsal.hub.loopback import LoopbackGitHub

__all__ = ["LoopbackGitHub"]
