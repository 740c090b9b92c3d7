"""What a webhook is sent: one message, or several as a JSON array, signed if there is a secret."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5

import orjson
from standardwebhooks import Webhook

from streamer.errors import Reject
from streamer.sinks.cloudevents import STRUCTURED
from streamer.sinks.formats import JSON, Message

_CLOUDEVENTS = "application/cloudevents-batch+json"
_BATCHES = UUID("0a706625-447f-5026-b68e-9326a170956e")


class Post(NamedTuple):
    """A request to be: `webhook_id` is the same at every try, `ids` are those of the events in it."""

    webhook_id: str
    ids: tuple[str, ...]
    body: bytes
    headers: Mapping[str, str]


def single(message: Message) -> Post:
    """Return the request of one message; a binary CloudEvent's attributes become `ce-` headers."""
    headers = {f"ce-{name}": value for name, value in message.attributes.items()}
    return Post(message.id, (message.id,), message.body, {**headers, "content-type": message.content_type})


def batched(messages: Sequence[Message]) -> Post:
    """Return the request of all messages as an array; the same messages have the same id."""
    ids = tuple(message.id for message in messages)
    content_type = _CLOUDEVENTS if messages[0].content_type == STRUCTURED else JSON
    body = b"[" + b",".join(map(_element, messages)) + b"]"
    return Post(str(uuid5(_BATCHES, " ".join(ids))), ids, body, {"content-type": content_type})


def signed(post: Post, signer: Webhook | None, now: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks: who signs nothing still sends the id and the time."""
    headers = {"webhook-id": post.webhook_id, "webhook-timestamp": str(int(now.timestamp()))}
    if signer:
        headers["webhook-signature"] = signer.sign(post.webhook_id, now, post.body.decode())
    return headers


def _element(message: Message) -> bytes:
    """Return a message's body; one that a template made may be no JSON, and would spoil the array."""
    try:
        orjson.loads(message.body)
    except orjson.JSONDecodeError as error:
        raise Reject(f"the template makes no JSON of this record: {error}") from error
    return message.body
