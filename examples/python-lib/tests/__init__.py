"""The tests of plainly: `python3 -m unittest`."""
