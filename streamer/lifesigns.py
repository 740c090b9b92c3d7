"""Pure: the signs of life of one run, and what its sender's clock is off by. Times are microseconds.

A beat carries two clocks: when it occurred by its sender's, and when the server received it. One that was delivered
late is not fresh, and a sender's clock may be wrong; so its time is its `occurred` put right by the least
`received - occurred` of the sender's last beats, between five and ten of them. Beats that came at once, late in a bunch
or one beat under two ids, count as one: else a bunch would soon be all that is remembered.
"""

from streamer.suspicion import SECOND, Limits, Move, Standing

GENERATION = 5
"""So many beats share one least offset; two generations are remembered."""

TOLERANCE = 5 * SECOND
"""Two clocks tell the same if they differ by no more, since transport takes its time."""

_UNKNOWN = 2**62


class LifeSigns:
    """What is remembered of a run that has not ended; small, since there may be a million.

    `since` is when it came into its state, `life` its last sign of life, and `anchor` the same by its sender's clock.
    `beats` counts those that were sent in this state and came apart. `interval` is the usual time between beats: the
    median of the last three gaps, the lower one of two, None until one was seen.
    """

    __slots__ = (
        "anchor", "beats", "due", "entry", "gap", "gap_before", "gap_before_that", "interval", "life", "limits", "move",
        "occurred", "offset", "offset_before", "received", "since", "standing",
    )  # fmt: skip

    def __init__(self, move: Move, limits: Limits) -> None:
        self.move = move
        self.limits = limits
        self.standing: Standing | None = None
        self.entry = 0
        self.gap = self.gap_before = self.gap_before_that = 0
        self.interval: int | None = None
        self.offset = self.offset_before = _UNKNOWN
        self.begin(move.at)

    def begin(self, at: int) -> None:
        """Start afresh: another state or attempt. Maybe another sender too, but that will show in its beats."""
        self.since = self.life = self.anchor = at
        self.due: int | None = None
        self.beats = self.occurred = self.received = 0

    def beat(self, occurred: int, received: int) -> int:
        """Take note of a beat; return when it was sent, by the server's clock.

        One that was sent before the run came into its state is no sign of life in it, but tells of the clock.
        """
        offset, apart_here = received - occurred, received - self.received
        came_apart = apart_here * 2 >= self.limits.least
        if came_apart and self.received:
            self._compare(offset, occurred - self.occurred, apart_here)
        if apart_here >= 0:
            self.occurred, self.received = occurred, received
        if offset < self.offset:
            self.offset = offset
        sent = occurred + min(self.offset, self.offset_before)
        if sent >= self.since and (came_apart or not self.beats):
            self.beats += 1
            if self.beats % GENERATION == 0:
                self.offset, self.offset_before = _UNKNOWN, self.offset
        if sent > self.life:
            self.life, self.anchor = sent, occurred
        return sent

    def sent(self, occurred: int, received: int) -> int:
        """Return when a beat was sent, by what is known of the sender's clock, and without learning from it."""
        return min(received, occurred + min(self.offset, self.offset_before))

    def _compare(self, offset: int, apart: int, apart_here: int) -> None:
        """Learn from a beat that is as far from the one before by both clocks, so that both came at once.

        They are one gap apart. If they are off by more than those before, the sender's clock was set: beats that are
        delivered late come in a bunch.
        """
        if not -TOLERANCE <= apart_here - apart <= TOLERANCE:
            return
        if offset - min(self.offset, self.offset_before) > TOLERANCE:
            self.offset, self.offset_before = min(offset, self.received - self.occurred), _UNKNOWN
        gap = max(SECOND, (apart + SECOND // 2) // SECOND * SECOND)
        if gap == self.interval:
            gap = self.interval  # the same object, since there may be a million
        if not gap == self.gap == self.gap_before == self.gap_before_that:
            self.gap, self.gap_before, self.gap_before_that = gap, self.gap, self.gap_before
            self.interval = sorted((gap, self.gap_before or gap, self.gap_before_that))[1]
