"""The pieces that our dashboards' queries are made of.

`$job`, `$instance`, `$flow` and `$deployment` are variables of the dashboards, and may stand for several values.
"""

from deploy.grafana.panels import Query, variable

OF_JOB = 'job=~"$job"'
OF_DEPLOYMENT = 'job=~"$job", flow=~"$flow", deployment=~"$deployment"'
OF_INSTANCE = 'job=~"$job", instance=~"$instance"'

JOBS = variable("job", "label_values(prefect_streamer_build_info, job)")
INSTANCES = variable("instance", 'label_values(prefect_streamer_build_info{job=~"$job"}, instance)')
FLOWS = variable("flow", 'label_values(prefect_flow_run_transitions_total{job=~"$job"}, flow)')
DEPLOYMENTS = variable(
    "deployment", 'label_values(prefect_flow_run_transitions_total{job=~"$job", flow=~"$flow"}, deployment)'
)

IN_SEARCH_OF_LIFE = 'status=~"suspect|overdue"'
UNFINISHED = 'state=~"PENDING|RUNNING|CANCELLING"'


def per_second(metric: str, labels: str, *by: str) -> str:
    """Return the query for how fast a counter rises."""
    return f"sum by ({', '.join(by)}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def quantile(share: float, buckets: str) -> str:
    """Return the query for a quantile of the buckets that an expression yields, which are summed."""
    return f"histogram_quantile({share}, sum by (le) ({buckets}))"


def quantiles(buckets: str) -> tuple[Query, Query]:
    """Return the queries for the median and the 95th percentile."""
    return Query(quantile(0.5, buckets), "p50"), Query(quantile(0.95, buckets), "p95")
