"""What a basket costs."""


def total(prices):
    """The sum of the prices, in cents."""
    return sum(prices)
