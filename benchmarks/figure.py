"""A measured figure and what it should be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit`; `goal` is the most it may be, if there is one."""

    what: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def shown(self) -> str:
        """Return the figure with its unit."""
        return f"{self.value:,.2f} {self.unit}"

    @property
    def goal_shown(self) -> str:
        """Return the goal with its unit."""
        return "" if self.goal is None else f"under {self.goal:g} {self.unit}"

    @property
    def is_missed(self) -> bool:
        """Tell whether there is a goal and the figure is above it."""
        return self.goal is not None and self.value >= self.goal

    @property
    def verdict(self) -> str:
        """Return whether the goal is met, in a word."""
        if self.goal is None:
            return ""
        return "missed" if self.is_missed else "met"
