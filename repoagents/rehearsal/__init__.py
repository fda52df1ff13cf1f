"""What the demo, fixtures and tests stand on: an agent that calls no model."""
