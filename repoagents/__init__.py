"""RepoAgents: an AI maintainer team for a repository, run on its maintainers' own machine."""

__version__ = "0.1.0"
