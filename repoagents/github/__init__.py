"""GitHub over HTTP: one door, and the tracker that stands on it."""
