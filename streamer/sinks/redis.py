"""`redis://host:6379/0?stream=NAME` — each record as an entry of a Redis stream, once, as long as its id is remembered.

The ids of the newest entries are in a sorted set beside the stream. Looking there and adding to both is one script, and
so one step for everybody else. An id is remembered after its entry was added: an error between the two repeats.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

from pydantic import Field, PositiveInt
from redis.asyncio import Redis
from redis.asyncio.retry import Retry as LibraryRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from streamer.model import Record
from streamer.sinks.brokers import server_in
from streamer.sinks.formats import Formatted, Message, messages
from streamer.sinks.link import ANSWER_SECONDS, Link
from streamer.sinks.options import Login, Tls

CONNECT_SECONDS = 5.0

ADD = """
local stream, ids, remember, maxlen = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('EXISTS', stream) < redis.call('EXISTS', ids) then redis.call('DEL', ids) end
local place = tonumber(redis.call('ZREVRANGE', ids, 0, 0, 'WITHSCORES')[2] or 0)
for at = 3, #ARGV, 4 do
  local id, seq, kind, body = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if not redis.call('ZSCORE', ids, id) then
    if maxlen > 0 then
      redis.call('XADD', stream, 'MAXLEN', '~', maxlen, '*', 'id', id, 'seq', seq, 'kind', kind, 'body', body)
    else
      redis.call('XADD', stream, '*', 'id', id, 'seq', seq, 'kind', kind, 'body', body)
    end
    place = place + 1
    redis.call('ZADD', ids, place, id)
  end
end
redis.call('ZREMRANGEBYRANK', ids, 0, -remember - 1)
"""


class RedisSink:
    """Add to a stream the fields `id`, `seq`, `kind` and `body`."""

    class Options(Formatted, Login, Tls):
        """`host`, `port`, `db`; `stream`, its key; `maxlen`, about how many entries it keeps; `tls`.

        `remember` is how many ids are kept to know a repetition by.
        """

        host: str = "127.0.0.1"
        port: int = Field(6379, gt=0, lt=2**16)
        db: int = Field(0, ge=0)
        stream: str = Field(min_length=1)
        maxlen: PositiveInt | None = None
        remember: PositiveInt = 100_000
        tls: bool = False

    def __init__(self, options: Options) -> None:
        options.context()
        self._options = options
        self._encoder = options.encoder()
        self._link: Link[Redis] = Link(
            f"Redis at {options.host}:{options.port}",
            make=self._make,
            connect=lambda redis: redis.ping(),
            disconnect=lambda redis: redis.aclose(),
            errors=(RedisError,),
        )

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Return server and database of `redis://host:6379/0`."""
        database = url.path.strip("/")
        return server_in(url) | ({"db": database} if database else {})

    async def open(self) -> None:
        """Connect."""
        async with self._link.use():
            pass

    async def write(self, records: Sequence[Record], /) -> None:
        """Add the entries that are new, in order and in one step."""
        options = self._options
        arguments = [options.remember, options.maxlen or 0, *_fields(messages(self._encoder, records))]
        async with self._link.use() as redis:
            await redis.register_script(ADD)(keys=[options.stream, ids_key(options.stream)], args=arguments)

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    def _make(self) -> Redis:
        options = self._options
        return Redis(
            host=options.host,
            port=options.port,
            db=options.db,
            username=options.username,
            password=options.secret(),
            ssl=options.tls,
            ssl_ca_certs=_path(options.ca_file),
            ssl_certfile=_path(options.cert_file),
            ssl_keyfile=_path(options.key_file),
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=LibraryRetry(NoBackoff(), 0),
            single_connection_client=True,
        )


class SecureRedisSink(RedisSink):
    """`rediss://` — the same over TLS."""

    class Options(RedisSink.Options):
        """Those of `redis`."""

        tls: bool = True


def ids_key(stream: str) -> str:
    """Return the key of the ids, in the same slot of a Redis Cluster as the stream itself."""
    return f"{stream}:ids" if "{" in stream else f"{{{stream}}}:ids"


def _path(file: Path | None) -> str | None:
    return str(file) if file else None


def _fields(batch: Sequence[Message]) -> Iterator[str | int | bytes]:
    for message in batch:
        yield from (message.id, message.record.seq, message.record.event.kind.value, message.body)
