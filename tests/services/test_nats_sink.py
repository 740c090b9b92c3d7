"""The nats sink against the real server: in order, and each record once, whatever becomes of the server."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from nats import connect
from nats.js.api import DiscardPolicy, RawStreamMsg, StreamConfig
from trustme import CA

from streamer.errors import Reject, Retry
from streamer.sinks.formats import as_record
from streamer.testing import check_sink
from tests.services.brokers import Broker, nats
from tests.services.deliveries import (
    BATCH,
    deliver_through_a_kill,
    deliver_through_a_stall,
    ids,
    made,
    opened,
    records,
    refusal_of,
)

pytestmark = pytest.mark.services


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Broker]:
    with nats(tmp_path) as broker:
        yield broker


async def messages_in(server: Broker, stream: str = "RUNS") -> list[RawStreamMsg]:
    client = await connect(server.address)
    jetstream = client.jetstream()
    last = (await jetstream.stream_info(stream)).state.last_seq
    found = [await jetstream.get_msg(stream, seq) for seq in range(1, last + 1)]
    await client.close()
    return found


async def ids_in(server: Broker) -> list[str]:
    return [(message.headers or {})["Nats-Msg-Id"] for message in await messages_in(server)]


async def make_stream(server: Broker, config: StreamConfig) -> None:
    client = await connect(server.address)
    await client.jetstream().add_stream(config)
    await client.close()


async def test_it_keeps_the_contract(server: Broker) -> None:
    async def read_back() -> Sequence[str]:
        return await ids_in(server)

    await check_sink(lambda: made(f"nats://{server.address}/runs?stream=RUNS"), read_back)


async def test_the_first_write_of_a_connection_is_in_order(server: Broker) -> None:
    await make_stream(server, StreamConfig(name="RUNS", subjects=["runs"]))
    some = records(1000)
    async with opened(made(f"nats://{server.address}/runs")) as sink:
        await sink.write(some)
    assert await ids_in(server) == ids(some)


async def test_what_is_written_again_is_there_once(server: Broker) -> None:
    some = records(20)
    async with opened(made(f"nats://{server.address}/runs?stream=RUNS")) as sink:
        await sink.write(some[:15])
        await sink.write(some[5:])
    assert await ids_in(server) == ids(some)


async def test_a_server_killed_in_the_middle_gets_each_record_once_and_in_order(server: Broker) -> None:
    some = records(1000)
    async with opened(made(f"nats://{server.address}/runs?stream=RUNS")) as sink:
        await deliver_through_a_kill(sink, some, server)
    assert await ids_in(server) == ids(some)


async def test_a_write_given_up_on_a_stalled_server_is_made_good(server: Broker) -> None:
    some = records(5 * BATCH)
    async with opened(made(f"nats://{server.address}/runs?stream=RUNS")) as sink:
        await deliver_through_a_stall(sink, some, server)
    assert await ids_in(server) == ids(some)


async def test_by_state_the_subject_tells_what_happened(server: Broker) -> None:
    async with opened(made(f"nats://{server.address}/runs?stream=RUNS&by_state=true")) as sink:
        await sink.write(records(1))
    assert [message.subject for message in await messages_in(server)] == ["runs.flow_run.running"]


async def test_a_binary_cloudevent_has_its_attributes_in_headers(server: Broker) -> None:
    (record,) = records(1)
    async with opened(made(f"nats://{server.address}/runs?stream=RUNS&format=cloudevent-binary")) as sink:
        await sink.write([record])
    (message,) = await messages_in(server)
    headers = message.headers or {}
    assert (headers["ce-id"], headers["ce-type"]) == (str(record.event.id), "io.prefect.flow-run.running")
    assert headers["Content-Type"] == "application/json"


async def test_without_a_stream_it_says_so_and_goes_on_when_there_is_one(server: Broker) -> None:
    some = records(3)
    async with opened(made(f"nats://{server.address}/runs")) as sink:
        with pytest.raises(Retry, match="no stream of NATS takes 'runs'"):
            await sink.write(some)
        await make_stream(server, StreamConfig(name="RUNS", subjects=["runs"]))
        await sink.write(some)
    assert await ids_in(server) == ids(some)


async def test_a_message_larger_than_the_server_takes_is_refused(tmp_path: Path) -> None:
    (record,) = records(1)
    limit = len(as_record(record).body) + 10  # the body alone would fit
    with nats(tmp_path, f"max_payload: {limit}") as server:
        async with opened(made(f"nats://{server.address}/runs?stream=RUNS")) as sink:
            with pytest.raises(Reject, match=f"no more than {limit} bytes"):
                await sink.write([record])


async def test_a_message_larger_than_the_stream_takes_is_refused(server: Broker) -> None:
    await make_stream(server, StreamConfig(name="RUNS", subjects=["runs"], max_msg_size=100))
    async with opened(made(f"nats://{server.address}/runs")) as sink:
        with pytest.raises(Reject, match="the stream does not take"):
            await sink.write(records(1))


async def test_a_full_stream_is_a_reason_to_try_again(server: Broker) -> None:
    await make_stream(server, StreamConfig(name="RUNS", subjects=["runs"], max_msgs=2, discard=DiscardPolicy.NEW))
    async with opened(made(f"nats://{server.address}/runs")) as sink:
        with pytest.raises(Retry, match="maximum messages exceeded"):
            await sink.write(records(3))


@pytest.mark.parametrize(
    ("authorization", "right", "wrong"),
    [
        ("user: me, password: s3same", "me:s3same", "me:hunter2"),
        ("token: s3same", "s3same", "hunter2"),
    ],
)
async def test_it_comes_with_the_credentials_it_was_given(
    tmp_path: Path, authorization: str, right: str, wrong: str
) -> None:
    with nats(tmp_path, f"authorization {{ {authorization} }}") as server:
        said = await refusal_of(made(f"nats://{wrong}@{server.address}/runs"))
        assert "Authorization Violation" in said
        assert "hunter2" not in said
        async with opened(made(f"nats://{right}@{server.address}/runs?stream=RUNS")) as sink:
            await sink.write(records(1))


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    said = await refusal_of(made("nats://me:hunter2@127.0.0.1:1/runs"))
    assert "NATS at 127.0.0.1:1" in said
    assert "Connect call failed" in said
    assert "hunter2" not in said


async def test_it_speaks_tls_with_whom_it_trusts(tmp_path: Path) -> None:
    authority = CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    files = f'cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.pem"'
    with nats(tmp_path, f"tls {{ {files} }}") as server:
        place = f"nats://{server.address}/runs?stream=RUNS"
        assert "certificate verify failed" in await refusal_of(made(place))
        async with opened(made(f"{place}&ca_file={tmp_path}/ca.pem")) as sink:
            await sink.write(records(1))
