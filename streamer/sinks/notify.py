"""`type = "notify"` — messages to people: Slack, Teams, e-mail, PagerDuty, Telegram and all else apprise can reach."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import SplitResult

from schemas import Kind
from streamer.alert_message import digest, owners
from streamer.errors import ConfigError, Retry
from streamer.model import Record
from streamer.sinks.apprise_service import Service
from streamer.sinks.notify_messages import Post, several, single
from streamer.sinks.notify_options import NotifyOptions
from streamer.sinks.worker import Worker


class NotifySink:
    """Send in order to each destination. Of a write that failed, what was taken already is not sent again."""

    Options = NotifyOptions
    kinds = (Kind.ALERT,)

    def __init__(self, options: NotifyOptions) -> None:
        self._options = options
        self._worker = Worker("notify")
        self._services: dict[str, Service] = {}
        self._taken: set[tuple[str, str]] = set()

    @staticmethod
    def options_from(url: SplitResult) -> Mapping[str, Any]:
        """Refuse: the url of a service is a secret, and a spec is shown."""
        raise ConfigError("a notify sink is no spec", hint='write [sinks.NAME] with type = "notify" and its url')

    async def open(self) -> None:
        """Send nothing, as somebody would read it; make sure that the urls can be read and understood."""
        for url in self._options.urls_now():
            self._service(url)

    async def write(self, records: Sequence[Record], /) -> None:
        """Send what was not taken yet; one destination that fails does not keep it from the others."""
        errors: list[Retry] = []
        for post in await self._posts(records):
            try:
                await self._worker.do(partial(self._send, post))
            except Retry as error:
                errors.append(error)
        if errors:
            raise errors[0]
        ids = {str(record.event.id) for record in records}
        self._taken = {each for each in self._taken if each[1] not in ids}

    async def close(self) -> None:
        """Let what is being sent end."""
        self._worker.stop()

    async def _posts(self, records: Sequence[Record]) -> list[Post]:
        posts: list[Post] = []
        for url, wanted in self._by_destination(records).items():
            todo = [each for each in wanted if (url, str(each.event.id)) not in self._taken]
            if len(todo) > self._options.digest:
                links = [self._options.surroundings.link(each) for each in todo]
                posts.append(several(url, todo, digest(todo, links)))
            else:
                posts += [post for each in await self._singles(url, todo) if (post := each)]
        return posts

    async def _singles(self, url: str, records: Sequence[Record]) -> list[Post | None]:
        surroundings, lines = self._options.surroundings, self._options.logs
        details = await asyncio.gather(*(surroundings.details(each, lines) for each in records))
        templates = self._options.templates
        told = zip(records, details, strict=True)
        return [single(url, each, known, link=surroundings.link(each), templates=templates) for each, known in told]

    def _by_destination(self, records: Sequence[Record]) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        default = self._options.urls_now()
        for record in records:
            for url in dict.fromkeys(self._urls_of_owners(record)) or default:
                found.setdefault(url, []).append(record)
        return found

    def _urls_of_owners(self, record: Record) -> Iterator[str]:
        known = self._options.owners
        yield from (known[each].get_secret_value() for each in owners(record.event) if each in known)

    def _send(self, post: Post) -> None:
        """Send it in the worker's thread, unless a write that nobody waits for any more has done so."""
        taken = {(post.url, each) for each in post.ids}
        if not taken <= self._taken:
            self._service(post.url).send(post.title, post.body, post.kind)
            self._taken |= taken

    def _service(self, url: str) -> Service:
        if url not in self._services:
            try:
                self._services[url] = Service(url)
            except ValueError as error:
                raise Retry(f"a url in url_file: {error}") from None
        return self._services[url]
