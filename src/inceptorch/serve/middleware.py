"""Between uvicorn and the application: requests are counted, failures are logged, and no connection is closed while a
request or its answer is on the wire."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from inceptorch.serve.metrics import Metrics

LINGER = 1.0  # seconds to read the rest of a refused request, or to wait for a last one on an idle connection
log = logging.getLogger("inceptorch.serve")


def with_middleware(app: ASGIApp, metrics: Metrics, shutting_down: Callable[[], bool]) -> ASGIApp:
    """`app` with this module's middleware. While `shutting_down`, responses say that the connection will close."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Exchange(scope, receive, send, shutting_down).run(app, metrics)
        else:
            await app(scope, receive, send)

    return handle


class Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, shutting_down: Callable[[], bool]):
        self.scope, self._receive, self._send, self._shutting_down = scope, receive, send, shutting_down
        headers = dict(scope["headers"])
        self._unread = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        self._status = 0

    async def run(self, app: ASGIApp, metrics: Metrics) -> None:
        start = time.perf_counter()
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:  # already answered with 500
            log.exception("%s %s failed", self.scope["method"], self.scope["path"])
        finally:
            path = getattr(self.scope.get("route"), "path", "other")  # the route's, so that labels are few
            metrics.requests.labels(path, self._status).inc()
            metrics.request_seconds.labels(path).observe(time.perf_counter() - start)

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message["headers"], (b"x-content-type-options", b"nosniff")]
            if self._unread or self._shutting_down():
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self._unread and not message.get("more_body", False):
            # If the connection closed with request bytes unread, the client's system would discard the response.
            await self._send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    while self._unread:
                        await self.receive()
            message = {**message, "body": b""}
        await self._send(message)


class HTTPProtocol(H11Protocol):
    """uvicorn's HTTP with two changes. A request's head must arrive within `max_seconds`; uvicorn would wait forever.
    On shutdown, idle connections stay open a moment, as a request may be on its way; uvicorn closes them at once."""

    max_seconds = 30.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._update_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self._idle():
            self.loop.call_later(LINGER, self._shutdown_now)
        else:
            super().shutdown()

    def _shutdown_now(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def _idle(self) -> bool:
        """Whether no request is being answered; the head of one may be arriving."""
        return self.cycle is None or self.cycle.response_complete

    def _update_timer(self) -> None:
        if not self._idle():
            self._cancel_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.max_seconds, self._time_out)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        if self.conn.our_state is h11.IDLE and not self.transport.is_closing():
            headers = [("connection", "close"), ("content-length", "0")]
            response = h11.Response(status_code=408, headers=headers, reason=b"Request Timeout")
            self.transport.write(self.conn.send(response))
            self.transport.close()
