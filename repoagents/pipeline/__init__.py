"""The shell: asks ports, consults policy, records, acts."""
