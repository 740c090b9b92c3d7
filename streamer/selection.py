"""Which runs we care for: the same test for every net, since the server's own filters differ between them."""

from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict

from schemas import Event, Party


class Selection(BaseModel):
    """Globs for names; an empty list selects everything. Of several lists, an event must pass each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flows: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    work_pools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Tell whether nothing is passed over."""
        return not (self.flows or self.deployments or self.work_pools or self.tags)

    def __contains__(self, event: Event) -> bool:
        """Tell whether this event is selected."""
        return self.is_everything or (
            _any(self.flows, _names(event.flow))
            and _any(self.deployments, _names(event.deployment))
            and _any(self.work_pools, _names(event.work_pool))
            and _any(self.tags, event.tags)
        )


def _any(globs: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for name in names for glob in globs)


def _names(party: Party | None) -> tuple[str, ...]:
    return (party.name or "", party.id) if party else ()
