"""The metrics of a registry under another prefix, and with labels that each of them has."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

USUAL_PREFIX = "prefect"


class Dressed:
    """What a registry collects, its names changed and labels added; in place of the registry itself."""

    def __init__(self, registry: CollectorRegistry, *, prefix: str, labels: Mapping[str, str]) -> None:
        self._registry = registry
        self._prefix = prefix
        self._labels = dict(labels)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; what does not begin with the usual prefix keeps its name."""
        for metric in self._registry.collect():
            if self._prefix != USUAL_PREFIX or self._labels:
                metric = self._dress(metric)
            yield metric

    def _dress(self, metric: Metric) -> Metric:
        dressed = Metric(self._named(metric.name), metric.documentation, metric.type, metric.unit)
        dressed.samples = [
            sample._replace(name=self._named(sample.name), labels={**self._labels, **sample.labels})
            for sample in metric.samples
        ]
        return dressed

    def _named(self, name: str) -> str:
        return self._prefix + name.removeprefix(USUAL_PREFIX) if name.startswith(f"{USUAL_PREFIX}_") else name
