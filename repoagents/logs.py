"""The log door: JSON lines with stable event codes, redacted and rotated."""
