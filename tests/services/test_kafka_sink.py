"""The kafka sink against librdkafka's mock cluster: acknowledged, in order, each record at least once."""

import asyncio
from collections.abc import Iterator, Sequence

import orjson
import pytest
from confluent_kafka import KafkaError

from schemas import decode
from streamer.errors import Reject, Retry
from streamer.model import Record
from streamer.testing import an_event, check_sink, until
from tests.services.deliveries import BATCH, deliver, first_occurrences, ids, made, opened, records, refusal_of
from tests.services.mock_kafka import MockKafka, header

pytestmark = pytest.mark.services


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with MockKafka() as kafka:
        yield kafka


async def test_it_keeps_the_contract(kafka: MockKafka) -> None:
    async def read_back() -> Sequence[str]:
        return await asyncio.to_thread(kafka.ids)

    await check_sink(lambda: made(f"kafka://{kafka.address}/runs"), read_back)


async def test_a_message_is_keyed_by_its_run_and_says_what_it_is(kafka: MockKafka) -> None:
    (record,) = records(1)
    async with opened(made(f"kafka://{kafka.address}/runs")) as sink:
        await sink.write([record])
    (message,) = await asyncio.to_thread(kafka.messages)
    body = message.value()
    assert isinstance(body, bytes)
    assert orjson.loads(body)["id"] == header(message, "id") == str(record.event.id)
    assert message.key() == str(record.event.run_id).encode()
    assert header(message, "content-type") == "application/json"


async def test_a_binary_cloudevent_has_its_attributes_in_headers(kafka: MockKafka) -> None:
    (record,) = records(1)
    async with opened(made(f"kafka://{kafka.address}/runs?format=cloudevent-binary")) as sink:
        await sink.write([record])
    (message,) = await asyncio.to_thread(kafka.messages)
    assert header(message, "ce_id") == str(record.event.id)
    assert header(message, "ce_type") == "io.prefect.flow-run.running"


async def test_many_are_in_order(kafka: MockKafka) -> None:
    some = records(5000)
    async with opened(made(f"kafka://{kafka.address}/runs")) as sink:
        await sink.write(some)
    assert await asyncio.to_thread(kafka.ids) == ids(some)


async def test_a_broker_that_goes_in_the_middle_and_comes_back_gets_every_record(kafka: MockKafka) -> None:
    some, acknowledged = records(2000), list[Record]()
    async with opened(made(f"kafka://{kafka.address}/runs")) as sink:
        delivering = asyncio.create_task(deliver(sink, some, acknowledged))
        await until(lambda: len(acknowledged) > len(some) // 3)
        kafka.stop()
        assert len(acknowledged) < len(some), "the broker went too late to matter"
        kafka.start()
        await delivering
    assert first_occurrences(await asyncio.to_thread(kafka.ids)) == ids(some)


async def test_what_librdkafka_may_try_again_is_there_once(kafka: MockKafka) -> None:
    some = records(BATCH)
    kafka.answer(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.REQUEST_TIMED_OUT)
    async with opened(made(f"kafka://{kafka.address}/runs")) as sink:
        await sink.write(some)
    assert await asyncio.to_thread(kafka.ids) == ids(some)


async def test_a_write_that_was_refused_in_the_middle_comes_again_whole_and_in_order(kafka: MockKafka) -> None:
    some = records(5 * BATCH)
    async with opened(made(f"kafka://{kafka.address}/runs")) as sink:
        await sink.write(some[:BATCH])
        kafka.answer(KafkaError.TOPIC_AUTHORIZATION_FAILED)
        with pytest.raises(Retry, match="Topic authorization failed"):
            await sink.write(some[BATCH:])
        await sink.write(some[BATCH:])
    found = await asyncio.to_thread(kafka.ids)
    assert found[:BATCH] == ids(some[:BATCH])
    assert found[BATCH - len(some) :] == ids(some[BATCH:])


async def test_a_message_larger_than_the_broker_takes_is_refused(kafka: MockKafka) -> None:
    async with opened(made(f"kafka://{kafka.address}/runs")) as sink:
        kafka.answer(KafkaError.MSG_SIZE_TOO_LARGE)
        with pytest.raises(Reject, match="Broker: Message size too large"):
            await sink.write(records(1))
        await sink.write(records(1))


async def test_a_message_larger_than_the_producer_takes_is_refused(kafka: MockKafka) -> None:
    (small,), event = records(1), an_event(event=f"prefect.flow-run.{'x' * 1000}")
    large = Record(2, "default", decode(orjson.dumps(event)))
    limits: dict[str, object] = {"librdkafka": {"message.max.bytes": 1000}}
    async with opened(made(f"kafka://{kafka.address}/runs", **limits)) as sink:
        with pytest.raises(Reject, match="Unable to produce message: Broker: Message size too large"):
            await sink.write([small, large])
        await sink.write([small])
    assert first_occurrences(await asyncio.to_thread(kafka.ids)) == ids([small])


async def test_a_write_given_up_on_a_slow_broker_is_made_good(kafka: MockKafka) -> None:
    some = records(5 * BATCH)
    async with opened(made(f"kafka://{kafka.address}/runs")) as sink:
        kafka.slow_down(1000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await sink.write(some[:BATCH])
        kafka.slow_down(0)
        await deliver(sink, some, [])
    assert first_occurrences(await asyncio.to_thread(kafka.ids)) == ids(some)


async def test_a_broker_that_does_not_answer_does_not_hold_up_the_end(kafka: MockKafka) -> None:
    sink = made(f"kafka://{kafka.address}/runs")
    await sink.open()
    kafka.slow_down(60_000)
    writing = asyncio.create_task(sink.write(records(1)))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await sink.close()
        with pytest.raises(Retry, match="no acknowledgement in time"):
            await writing


async def test_an_unknown_topic_is_named(kafka: MockKafka) -> None:
    kafka.refuse_topic(KafkaError.UNKNOWN_TOPIC_OR_PART)
    assert "Unknown topic or partition" in await refusal_of(made(f"kafka://{kafka.address}/runs"))


async def test_a_property_that_librdkafka_does_not_know_is_named(kafka: MockKafka) -> None:
    wrong: dict[str, object] = {"librdkafka": {"compresion.type": "zstd"}}
    assert 'No such configuration property: "compresion.type"' in await refusal_of(
        made(f"kafka://{kafka.address}/runs", **wrong)
    )


async def test_a_broker_that_is_not_there_is_named_without_the_password() -> None:
    said = await refusal_of(made("kafka://me:hunter2@127.0.0.1:1/runs"))
    assert "Kafka at 127.0.0.1:1" in said
    assert "Connection refused" in said
    assert "hunter2" not in said
