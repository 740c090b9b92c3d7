"""The redis sink against the real server: in order, and each record once, as long as its id is remembered."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from trustme import CA

from streamer.demo.server import free_port
from streamer.errors import Retry
from streamer.sinks.redis import ids_key
from streamer.testing import check_sink
from tests.services.brokers import Broker, redis
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
    with redis(tmp_path) as broker:
        yield broker


@asynccontextmanager
async def client_of(server: Broker, db: int = 0) -> AsyncIterator[Redis]:
    async with Redis(port=server.port, db=db, decode_responses=True) as client:
        yield client


async def entries_in(server: Broker, db: int = 0) -> list[dict[str, str]]:
    async with client_of(server, db) as client:
        found: Any = await client.xrange("runs")
        return [fields for _, fields in found]


async def ids_in(server: Broker) -> list[str]:
    return [fields["id"] for fields in await entries_in(server)]


async def do(server: Broker, *command: str | int) -> str:
    async with client_of(server) as client:
        return str(await client.execute_command(*command))  # type: ignore[no-untyped-call]


async def test_it_keeps_the_contract(server: Broker) -> None:
    async def read_back() -> Sequence[str]:
        return await ids_in(server)

    await check_sink(lambda: made(f"redis://{server.address}/0?stream=runs"), read_back)


async def test_an_entry_has_the_record_and_what_one_looks_for_first(server: Broker) -> None:
    (record,) = records(1)
    async with opened(made(f"redis://{server.address}/3?stream=runs")) as sink:
        await sink.write([record])
    (entry,) = await entries_in(server, db=3)
    assert orjson.loads(entry.pop("body"))["id"] == str(record.event.id)
    assert entry == {"id": str(record.event.id), "seq": "1", "kind": "transition"}


async def test_what_is_written_again_is_there_once(server: Broker) -> None:
    some = records(20)
    async with opened(made(f"redis://{server.address}?stream=runs")) as sink:
        await sink.write(some[:15])
        await sink.write(some[5:])
    assert await ids_in(server) == ids(some)


async def test_only_so_many_ids_are_remembered(server: Broker) -> None:
    some = records(6)
    async with opened(made(f"redis://{server.address}?stream=runs&remember=3")) as sink:
        await sink.write(some)
        await sink.write(some[3:])
        await sink.write(some[:1])
    assert await ids_in(server) == ids([*some, some[0]])
    async with client_of(server) as client:
        assert await client.zcard(ids_key("runs")) == 3


async def test_a_stream_that_was_deleted_is_filled_again(server: Broker) -> None:
    some = records(5)
    async with opened(made(f"redis://{server.address}?stream=runs")) as sink:
        await sink.write(some)
        await do(server, "DEL", "runs")
        await sink.write(some)
    assert await ids_in(server) == ids(some)


async def test_a_stream_is_cut_to_about_its_length_and_knows_what_it_dropped(server: Broker) -> None:
    some = records(500)
    async with opened(made(f"redis://{server.address}?stream=runs&maxlen=100")) as sink:
        await sink.write(some)
        await sink.write(some)
    found = await ids_in(server)
    assert 100 <= len(found) < 300
    assert found == ids(some)[-len(found) :]


async def test_a_server_killed_in_the_middle_gets_each_record_once_and_in_order(server: Broker) -> None:
    some = records(2000)
    async with opened(made(f"redis://{server.address}?stream=runs")) as sink:
        await deliver_through_a_kill(sink, some, server)
    assert await ids_in(server) == ids(some)


async def test_a_write_given_up_on_a_stalled_server_is_made_good(server: Broker) -> None:
    some = records(5 * BATCH)
    async with opened(made(f"redis://{server.address}?stream=runs")) as sink:
        await deliver_through_a_stall(sink, some, server)
    assert await ids_in(server) == ids(some)


async def test_scripts_that_were_flushed_are_given_again(server: Broker) -> None:
    some = records(4)
    async with opened(made(f"redis://{server.address}?stream=runs")) as sink:
        await sink.write(some[:2])
        await do(server, "SCRIPT", "FLUSH")
        await sink.write(some[2:])
    assert await ids_in(server) == ids(some)


async def test_a_server_without_memory_left_is_a_reason_to_try_again(server: Broker) -> None:
    some = records(3)
    async with opened(made(f"redis://{server.address}?stream=runs")) as sink:
        await do(server, "CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(Retry, match="used memory > 'maxmemory'"):
            await sink.write(some)
        await do(server, "CONFIG", "SET", "maxmemory", 0)
        await sink.write(some)
    assert await ids_in(server) == ids(some)


async def test_a_replica_is_a_reason_to_try_again(server: Broker) -> None:
    some = records(3)
    async with opened(made(f"redis://{server.address}?stream=runs")) as sink:
        await do(server, "REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(Retry, match="read only replica"):
            await sink.write(some)
        await do(server, "REPLICAOF", "NO", "ONE")
        await sink.write(some)
    assert await ids_in(server) == ids(some)


async def test_a_key_that_is_no_stream_is_left_alone_and_no_id_is_remembered(server: Broker) -> None:
    some = records(3)
    async with opened(made(f"redis://{server.address}?stream=runs")) as sink:
        await do(server, "SET", "runs", "of another")
        with pytest.raises(Retry, match="wrong kind of value"):
            await sink.write(some)
        await do(server, "DEL", "runs")
        await sink.write(some)
    assert await ids_in(server) == ids(some)


async def test_the_ids_are_in_the_same_slot_of_a_cluster(tmp_path: Path) -> None:
    with redis(tmp_path, "cluster-enabled yes", f"cluster-port {free_port()}") as server:
        await do(server, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while "cluster_state:ok" not in await do(server, "CLUSTER", "INFO"):
            pass
        some = records(3)
        async with opened(made(f"redis://{server.address}?stream=runs")) as sink:
            await sink.write(some)
        assert await ids_in(server) == ids(some)


@pytest.mark.parametrize("user", ["", "me"])
async def test_it_comes_with_the_credentials_it_was_given(tmp_path: Path, user: str) -> None:
    with redis(tmp_path, "user me on >s3same ~* +@all", "user default on >s3same ~* +@all") as server:
        said = await refusal_of(made(f"redis://{user}:hunter2@{server.address}?stream=runs"))
        assert "invalid username-password pair" in said
        assert "hunter2" not in said
        async with opened(made(f"redis://{user}:s3same@{server.address}?stream=runs")) as sink:
            await sink.write(records(1))


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    said = await refusal_of(made("redis://:hunter2@127.0.0.1:1?stream=runs"))
    assert "Redis at 127.0.0.1:1" in said
    assert "Connect call failed" in said
    assert "hunter2" not in said


async def test_it_speaks_tls_with_whom_it_trusts(tmp_path: Path) -> None:
    authority, port = CA(), free_port()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.issue_cert("streamer").private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    files = [f"tls-cert-file {tmp_path}/server.pem", f"tls-key-file {tmp_path}/server.pem"]
    with redis(tmp_path, f"tls-port {port}", *files, f"tls-ca-cert-file {tmp_path}/ca.pem") as server:
        place = f"rediss://127.0.0.1:{port}?stream=runs"
        assert "certificate verify failed" in await refusal_of(made(place))
        shown = f"cert_file={tmp_path}/client.pem&key_file={tmp_path}/client.pem"
        async with opened(made(f"{place}&ca_file={tmp_path}/ca.pem&{shown}")) as sink:
            await sink.write(records(1))
        assert len(await ids_in(server)) == 1
