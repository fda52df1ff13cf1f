"""RepoAgents: an AI maintainer team for a repository, run by its maintainers on their own machine."""

__version__ = "0.1.0"
