"""Roman numerals from 1 to 3999."""

_SYMBOLS = {
    "M": 1000,
    "CM": 900,
    "D": 500,
    "CD": 400,
    "C": 100,
    "XC": 90,
    "L": 50,
    "XL": 40,
    "X": 10,
    "IX": 9,
    "V": 5,
    "IV": 4,
    "I": 1,
}


def to_roman(number: int) -> str:
    """Write a number as a Roman numeral; outside 1 to 3999 is a ValueError."""
    if not 1 <= number <= 3999:
        raise ValueError(f"no Roman numeral for {number}: only 1 to 3999")
    numeral = ""
    for symbol, value in _SYMBOLS.items():
        count, number = divmod(number, value)
        numeral += symbol * count
    return numeral


def from_roman(numeral: str) -> int:
    """Read a Roman numeral, upper or lower case; anything else is a ValueError."""
    letters = numeral.strip().upper()
    if not letters or any(letter not in _SYMBOLS for letter in letters):
        raise ValueError(f"not a Roman numeral: {numeral!r}")
    values = [_SYMBOLS[letter] for letter in letters]
    total = 0
    for value, following in zip(values, [*values[1:], 0]):
        total += -value if value < following else value
    return total
