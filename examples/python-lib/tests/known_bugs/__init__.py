"""One test per open bug, marked as an expected failure: whoever mends the bug drops the mark."""
