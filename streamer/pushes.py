"""What of a running service is pushed: all its metrics, to each `[push.NAME]`."""

import time
from dataclasses import replace
from datetime import timedelta

from streamer import push
from streamer.core import Core
from streamer.instruments import Instruments
from streamer.metrics.counters import Choices, Metrics
from streamer.metrics.dressing import USUAL_PREFIX
from streamer.metrics.families import COUNTERS, HISTOGRAMS
from streamer.push.points import Begun
from streamer.push.pushing import Catalogue, Meters, Push

_FOR_EVER = timedelta(days=36_500)
_NO_LIMIT = 10**9


async def pushes_of(core: Core) -> list[Push]:
    """Return the pushes that are set; call it before anything is counted, and run them until all is."""
    if not core.settings.push:
        return []
    shown = core.metrics
    choices = replace(shown.choices, series_ttl=_FOR_EVER, series_limit=_NO_LIMIT)
    kept = Metrics(Instruments(), await core.store.totals(), core.clock, choices)
    catalogue = Catalogue(shown.exposed, _begun(core, shown.choices), kept.exposed)
    meters = Meters(core.instruments.pushes, core.instruments.push_success)
    return [
        Push(name, push.build(name, each.type, each.options), catalogue, meters, every=each.every)
        for name, each in core.settings.push.items()
    ]


def _begun(core: Core, choices: Choices) -> Begun:
    """Return when totals began: the store's at the first source's epoch, all others with this process."""
    process = time.time()
    names = [each.name for each in (*COUNTERS.values(), *HISTOGRAMS.values())]
    lasting = {choices.prefix + name.removeprefix(USUAL_PREFIX) for name in names}

    def begun(name: str) -> float | None:
        if name.removesuffix("_total") not in lasting:
            return process
        epochs = (core.log.epochs.get(each.source) for each in core.settings.each_source)
        return min((epoch.timestamp() for epoch in epochs if epoch), default=None)

    return begun
