"""What a running service takes over of its settings when they are read again: sinks, routes and rules."""

from collections.abc import Callable

import structlog

from streamer.alerts.reader import never_yet
from streamer.config import Settings
from streamer.core import Core
from streamer.deliveries import sinks_of
from streamer.errors import ConfigError
from streamer.sink_list import say_which_were_removed

logger = structlog.get_logger(__name__)


async def take_over(core: Core, read_again: Callable[[], Settings]) -> bool:
    """Take over the sinks and rules as the settings have them now; tell whether that could be done."""
    try:
        settings = read_again()
        await core.sinks.change(sinks_of(settings), settings.routes)
        await core.alerting.change(settings.alerts)
    except ConfigError as error:
        logger.error("the configuration is refused, and the one before stays", error=str(error), hint=error.hint)  # noqa: TRY400 - it is a sentence, not a fault of ours
        return False
    core.metrics.begin_at_0(never_yet(settings.alerts, core.settings.source_names))
    names = [delivery.name for delivery in core.deliveries]
    logger.info("the configuration was read again", sinks=names, alerts=list(settings.alerts))
    await say_which_were_removed(core)
    if waiting := [name for name in Settings.model_fields if _differs(name, settings, core.settings)]:
        logger.warning("some settings take effect at the next start only", settings=waiting)
    return True


def _differs(name: str, settings: Settings, before: Settings) -> bool:
    return name not in ("sinks", "sink", "routes", "alerts") and getattr(settings, name) != getattr(before, name)
