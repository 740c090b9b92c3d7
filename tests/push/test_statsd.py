"""An agent is sent what was counted since, each once, and gauges as they are."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.errors import Retry
from streamer.push.statsd import StatsdExporter
from tests.push.catalogues import TRANSITIONS, Registry

LAG = "prefect_streamer_sink_lag_records"
TOOK = "prefect_streamer_sink_write_duration_seconds"


class Agent:
    """A socket that datagrams come to."""

    def __init__(self, family: socket.AddressFamily, address: object) -> None:
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind(address)  # type: ignore[arg-type]
        self._socket.settimeout(1)
        self.address = self._socket.getsockname()

    def datagrams(self, lines: int) -> list[str]:
        """Return what came, once there are so many lines, and make sure that there are no more."""
        found: list[str] = []
        while sum(len(each.splitlines()) for each in found) < lines:
            found.append(self._socket.recv(65_536).decode())
        self._socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            self._socket.recv(65_536)
        self._socket.settimeout(1)
        return found

    def lines(self, number: int) -> list[str]:
        return [_bare(line) for each in self.datagrams(number) for line in each.splitlines()]

    def close(self) -> None:
        self._socket.close()


def _bare(line: str) -> str:
    """Return a line without the container that the library found this in."""
    return "|".join(field for field in line.split("|") if not field.startswith("c:"))


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent(socket.AF_INET, ("127.0.0.1", 0))
    yield agent
    agent.close()


@pytest.fixture
def exporter(agent: Agent) -> StatsdExporter:
    return an_exporter(agent)


def an_exporter(agent: Agent, **options: object) -> StatsdExporter:
    host, port = agent.address
    return StatsdExporter(StatsdExporter.Options.model_validate({"host": host, "port": port, **options}))


def test_a_counter_is_sent_as_what_was_counted_since(agent: Agent, exporter: StatsdExporter) -> None:
    registry = Registry(etl=7, load=1)
    before = registry.at(1)
    registry.stored.totals.update(etl=9, new=4)
    exporter.push(registry.at(60), before)
    assert agent.lines(2) == [f"{TRANSITIONS}:2.0|c|#flow:etl", f"{TRANSITIONS}:4.0|c|#flow:new"]


def test_after_a_restart_no_total_is_sent_again(agent: Agent, exporter: StatsdExporter) -> None:
    at_start = Registry(etl=1_000_000).at(1)
    exporter.push(Registry(etl=1_000_001).at(60), at_start)
    assert agent.lines(1) == [f"{TRANSITIONS}:1.0|c|#flow:etl"]


def test_a_gauge_is_sent_as_it_is_also_when_it_has_not_changed(agent: Agent, exporter: StatsdExporter) -> None:
    registry = Registry()
    registry.lag.labels("archive").set(3)
    exporter.push(registry.at(60), registry.at(1))
    assert agent.lines(1) == [f"{LAG}:3.0|g|#sink:archive"]


def test_a_histogram_is_sent_as_count_sum_and_cumulative_buckets(agent: Agent, exporter: StatsdExporter) -> None:
    registry = Registry()
    registry.took.labels("archive").observe(0.05)
    before = registry.at(1)
    for seconds in (0.5, 0.5, 3):
        registry.took.labels("archive").observe(seconds)
    exporter.push(registry.at(60), before)
    assert agent.lines(4) == [
        f"{TOOK}.count:3|c|#sink:archive",
        f"{TOOK}.sum:4.0|c|#sink:archive",
        f"{TOOK}.bucket:2|c|#sink:archive,le:1.0",
        f"{TOOK}.bucket:3|c|#sink:archive,le:inf",
    ]


def test_prefix_and_tags_are_on_every_line(agent: Agent) -> None:
    registry = Registry()
    exporter = an_exporter(agent, prefix="acme", tags=["env:prod"])
    before = registry.at(1)
    registry.stored.totals["etl"] = 1
    registry.lag.labels("archive").set(3)
    exporter.push(registry.at(60), before)
    assert agent.lines(2) == [
        f"acme.{TRANSITIONS}:1.0|c|#flow:etl,env:prod",
        f"acme.{LAG}:3.0|g|#sink:archive,env:prod",
    ]


def test_a_name_cannot_break_the_protocol(agent: Agent, exporter: StatsdExporter) -> None:
    registry = Registry()
    before = registry.at(1)
    registry.stored.totals["a|b,c\nd#ü"] = 1
    exporter.push(registry.at(60), before)
    assert agent.lines(1) == [f"{TRANSITIONS}:1.0|c|#flow:a_b_c_d_ü"]


def test_lines_share_datagrams_that_fit_a_network_s(agent: Agent, exporter: StatsdExporter) -> None:
    registry = Registry()
    before = registry.at(1)
    registry.stored.totals.update({f"f{number}": 1 for number in range(500)})
    exporter.push(registry.at(60), before)
    datagrams = agent.datagrams(500)
    assert len(datagrams) < 40
    assert max(len(each) for each in datagrams) <= 1432


def test_an_agent_may_listen_on_a_unix_socket(tmp_path: Path) -> None:
    agent = Agent(socket.AF_UNIX, str(tmp_path / "agent"))
    exporter = StatsdExporter(StatsdExporter.Options(socket=tmp_path / "agent"))
    registry = Registry()
    registry.lag.labels("archive").set(3)
    exporter.push(registry.at(60), registry.at(1))
    assert agent.lines(1) == [f"{LAG}:3.0|g|#sink:archive"]
    agent.close()


def test_an_agent_that_is_not_there_fails_the_push_with_the_reason_and_no_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = StatsdExporter(StatsdExporter.Options(socket=tmp_path / "nobody"))
    registry = Registry()
    registry.lag.labels("archive").set(3)
    with pytest.raises(Retry, match="No such file"):
        exporter.push(registry.at(60), registry.at(1))
    assert caplog.records == []


def test_a_port_where_nobody_listens_fails_the_push(agent: Agent, exporter: StatsdExporter) -> None:
    registry = Registry()
    before = registry.at(1)
    registry.stored.totals.update({f"f{number}": 1 for number in range(500)})
    agent.close()
    with pytest.raises(Retry, match="refused"):
        exporter.push(registry.at(60), before)


def test_a_push_starts_no_thread_and_leaves_no_socket(agent: Agent, exporter: StatsdExporter) -> None:
    import threading

    registry = Registry()
    registry.lag.labels("archive").set(3)
    threads = threading.active_count()
    exporter.push(registry.at(60), registry.at(1))
    assert threading.active_count() == threads
