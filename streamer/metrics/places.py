"""How many series a metric may have: the first to come have one of their own, the others share `other`."""

from collections.abc import Collection

Values = tuple[str, ...]
OTHER = "other"


class Places:
    """Who has a place among the series of one metric.

    What shares `other` does so for good, even if a place becomes free: a counter must not fall.
    """

    def __init__(self, limit: int) -> None:
        self.sharing: set[Values] = set()
        self._limit = limit
        self._taken: set[Values] = set()

    def free(self, current: Collection[Values]) -> None:
        """Free the places of all series but these."""
        self._taken &= set(current)

    def has(self, series: Values) -> bool:
        """Tell whether a series is shown by itself; the first time that it comes this is decided."""
        if series in self._taken:
            return True
        if series in self.sharing or len(self._taken) >= self._limit:
            self.sharing.add(series)
            return False
        self._taken.add(series)
        return True


def other(labels: Values, chosen: int) -> Values:
    """Return labels that tell none of the chosen apart."""
    return (OTHER,) * chosen + labels[chosen:]
