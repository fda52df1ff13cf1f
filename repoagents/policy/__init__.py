"""What should happen: pure functions from values to a decision with its reason."""
