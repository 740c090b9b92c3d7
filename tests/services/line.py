"""The network between one client and a server here, which can be cut and mended."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Line:
    """`with Line(port) as line:` who connects to `line.port` is connected with the server, unless the line is cut."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_cut = False
        self._ends: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.cut()
        _shut(self._listener)
        for each in self._threads:
            each.join()

    def cut(self) -> None:
        """Break all connections, and let none be made."""
        with self._guard:
            self._is_cut = True
            for each in self._ends:
                _shut(each)

    def mend(self) -> None:
        """Let connections be made again."""
        with self._guard:
            self._is_cut = False

    def _accept(self) -> None:
        with suppress(OSError), self._listener:  # until that is shut
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._carry, args=(client,)))
                self._threads[-1].start()

    def _carry(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._server)) as server:
            with self._guard:
                if self._is_cut:
                    return
                self._ends |= {client, server}
            back = threading.Thread(target=_pass_on, args=(server, client))
            back.start()
            _pass_on(client, server)
            back.join()
            with self._guard:
                self._ends -= {client, server}


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    _shut(other)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
