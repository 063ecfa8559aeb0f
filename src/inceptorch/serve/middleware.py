"""Between uvicorn and the application: every request is counted, failures are logged, and no connection is cut while an
answer, or a request, is on its way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from inceptorch.serve.metrics import Metrics

LINGER = 1.0  # seconds in which the rest of a refused request is read and thrown away, or the last one may still come
log = logging.getLogger("inceptorch.serve")


def edge(app: ASGIApp, metrics: Metrics, ending: Callable[[], bool]) -> ASGIApp:
    """`app`, with what is said above; once the server is `ending`, answers say that the connection is closed behind them."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Exchange(scope, receive, send, ending).run(app, metrics)
        else:
            await app(scope, receive, send)

    return answer


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, ending: Callable[[], bool]):
        self.scope, self._receive, self._send, self._ending = scope, receive, send, ending
        heads = dict(scope["headers"])
        self._unread = b"transfer-encoding" in heads or heads.get(b"content-length", b"0") != b"0"
        self._status = 0

    async def run(self, app: ASGIApp, metrics: Metrics) -> None:
        began = time.perf_counter()
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:  # has been answered with 500
            log.exception("%s %s failed", self.scope["method"], self._path())
        finally:
            metrics.request(self._path(), self._status, time.perf_counter() - began)

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message["headers"], (b"x-content-type-options", b"nosniff")]
            if self._unread or self._ending():
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self._unread and not message.get("more_body", False):
            # Were the connection closed with bytes of the request unread, the client's system would throw the answer away.
            await self._send({**message, "more_body": True})
            await self._read_rest()
            message = {**message, "body": b""}
        await self._send(message)

    async def _read_rest(self) -> None:
        try:
            async with asyncio.timeout(LINGER):
                while self._unread:
                    await self.receive()
        except TimeoutError:
            pass

    def _path(self) -> str:
        """The path as the application knows it, so that there are only so many."""
        route = self.scope.get("route")
        return getattr(route, "path", "other")


class Protocol(H11Protocol):
    """HTTP as uvicorn speaks it, but for two things. It would wait for ever for the head of a request; here the connection
    is closed when that does not arrive within `head_seconds`. And when the server ends, it would close silent connections
    at once, though a request may be on its way."""

    head_seconds = 30.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self._silent():
            self.loop.call_later(LINGER, self._shutdown_now)
        else:
            super().shutdown()

    def _shutdown_now(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def _silent(self) -> bool:
        """Whether no request is under way, though the head of one may have begun."""
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        """Set the timer when a head begins, and end it when a request has begun."""
        if not self._silent():
            self._unwatch()
        elif self._late is None:
            self._late = self.loop.call_later(self.head_seconds, self._give_up)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        if self.conn.our_state is h11.IDLE and not self.transport.is_closing():
            headers = [("connection", "close"), ("content-length", "0")]
            self.transport.write(
                self.conn.send(h11.Response(status_code=408, headers=headers, reason=b"Request Timeout"))
            )
            self.transport.close()
