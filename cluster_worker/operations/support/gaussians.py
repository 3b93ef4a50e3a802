"""What filters that use a Gaussian share."""


def reach(sigma: float, truncate: float = 4.0) -> int:
    """Return a Gaussian's half width, cut off at `truncate` standard deviations as in scipy."""
    return int(truncate * sigma + 0.5)
