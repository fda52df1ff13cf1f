"""What the standard library raises for an archive that was damaged, or forged."""

import struct
import zipfile
import zlib

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    # An offset before the file's beginning, a name that is no text, a number that none can hold.
    ValueError,
    OverflowError,
    # A way of packing that is not known, a password.
    NotImplementedError,
    RuntimeError,
)
"""`zipfile` trusts the numbers in an archive, and fails in all these ways when they are wrong."""
