"""Mean and standard error of the measurements, per group."""

import csv
import statistics
from pathlib import Path

MEASUREMENTS = Path(__file__).parent / "data" / "measurements.csv"


def read_groups(path=MEASUREMENTS):
    """The values of each group, in the file's order."""
    groups = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            groups.setdefault(row["group"], []).append(float(row["value"]))
    return groups


def standard_error(values):
    """The standard error of the mean."""
    return statistics.stdev(values) / len(values)


def summarize(groups):
    """A line for each group: its mean and the error of that."""
    return [
        f"{name}: {statistics.mean(values):.2f} +- {standard_error(values):.2f}"
        for name, values in sorted(groups.items())
    ]


if __name__ == "__main__":
    print("\n".join(summarize(read_groups())))
