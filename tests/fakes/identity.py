"""The name of the run that tests of processes work for."""

import os

RUN = f"run-{os.getpid()}"
"""Processes are found by it on the whole machine, where other tests may run at the same time."""
