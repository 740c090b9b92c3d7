"""The part of beanstalkd that takes jobs, as its protocol.txt has it, for the sink that CONTRIBUTING shows."""

import asyncio
from types import TracebackType
from typing import Self

import orjson


class Beanstalkd:
    """`async with Beanstalkd() as server:` — `jobs` are what was put, by tube; `trouble` answers every put instead."""

    def __init__(self, *, largest_job: int = 65_535) -> None:
        self.jobs: dict[str, list[bytes]] = {}
        self.trouble = b""
        self.connections = 0
        self._largest = largest_job

    @property
    def spec(self) -> str:
        return f"beanstalk://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/runs"

    async def ids(self) -> list[str]:
        return [orjson.loads(job)["id"] for job in self.jobs.get("runs", [])]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._writers: list[asyncio.StreamWriter] = []
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.close()
        self.hang_up()
        await self._server.wait_closed()

    def hang_up(self) -> None:
        while self._writers:
            self._writers.pop().transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        tube = "default"
        while line := await reader.readline():
            match line.split():
                case [b"use", name]:
                    tube = name.decode()
                    answer = b"USING " + name
                case [b"put", _, _, _, size]:
                    answer = self._put(tube, (await reader.readexactly(int(size) + 2))[:-2])
                case _:
                    answer = b"UNKNOWN_COMMAND"
            writer.write(answer + b"\r\n")

    def _put(self, tube: str, job: bytes) -> bytes:
        if self.trouble:
            return self.trouble
        if len(job) > self._largest:
            return b"JOB_TOO_BIG"
        self.jobs.setdefault(tube, []).append(job)
        return b"INSERTED %d" % len(self.jobs[tube])
