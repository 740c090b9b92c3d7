"""Which runs we care for: the same test for every net, since the server's own filters differ between them."""

from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict

from schemas import Event, Party

Names = tuple[str, ...]


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
        return self.is_everything or self.selects(
            _names(event.flow), _names(event.deployment), _names(event.work_pool), event.tags
        )

    def selects(self, flow: Names, deployment: Names, work_pool: Names, tags: Names) -> bool:
        """Tell whether a run is selected that belongs to these, each by its name and its id."""
        return (
            _any(self.flows, flow)
            and _any(self.deployments, deployment)
            and _any(self.work_pools, work_pool)
            and _any(self.tags, tags)
        )


def _any(globs: Names, names: Names) -> bool:
    return not globs or any(fnmatchcase(name, glob) for name in names for glob in globs)


def _names(party: Party | None) -> Names:
    return (party.name or "", party.id) if party else ()
