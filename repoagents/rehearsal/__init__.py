"""What `demo`, the soak and tests stand on: agents that call no model, and a GitHub (`hub`)."""
