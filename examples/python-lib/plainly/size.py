"""Numbers of bytes, in the decimal units that disks are sold by."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def format_size(size: int) -> str:
    """Shorten a number of bytes to one decimal: `1.5 kB`."""
    if size < 0:
        raise ValueError(f"a size cannot be negative: {size}")
    amount, unit = float(size), _UNITS[0]
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
