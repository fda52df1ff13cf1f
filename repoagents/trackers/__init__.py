"""Where issues come from and comments go back to, without a network."""
