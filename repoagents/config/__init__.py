"""The door to the configuration file, the environment and the control plane's files."""
