"""Between uvicorn and the application: requests are counted and logged, no connection is closed while a request or its
answer is on the wire, and none waits for its client forever."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from inceptorch.serve.metrics import Metrics

LINGER = 1.0  # seconds to read the rest of a refused request, or to wait for a last one on an idle connection
MAX_LOGGED = 200  # letters of a path
REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")  # of a client or proxy, that is taken over
# No page of another site may show or run what is served here.
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cross-origin-resource-policy", b"same-origin")]
log = logging.getLogger("inceptorch.serve")
access_log = logging.getLogger("inceptorch.serve.access")


def with_middleware(app: ASGIApp, metrics: Metrics, shutting_down: Callable[[], bool]) -> ASGIApp:
    """`app` with this module's middleware. While `shutting_down`, responses say that the connection will close.

    A HEAD is answered as a GET, of which uvicorn leaves out the body, and a path may end in a slash."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Exchange(scope, receive, send, shutting_down).run(app, metrics)
        else:
            await app(scope, receive, send)

    return handle


class Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, shutting_down: Callable[[], bool]):
        method, path = scope["method"], scope["path"].removesuffix("/") or "/"
        self.scope = {**scope, "method": "GET" if method == "HEAD" else method, "path": path}
        self._receive, self._send, self._shutting_down = receive, send, shutting_down
        headers = dict(scope["headers"])
        self._unread = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        self._status = 0
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        self._method, self._path = method, scope["raw_path"].decode("latin-1")[:MAX_LOGGED]
        self._id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)

    async def run(self, app: ASGIApp, metrics: Metrics) -> None:
        start = time.perf_counter()
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:  # already answered with 500
            log.exception("%s %s failed, request %s", self._method, self._path, self._id)
        finally:
            path = getattr(self.scope.get("route"), "path", "other")  # the route's, so that labels are few
            seconds = time.perf_counter() - start
            metrics.requests.labels(path, self._status).inc()
            metrics.request_seconds.labels(path).observe(seconds)
            client = self.scope["client"][0] if self.scope["client"] else "-"
            values = (self._id, client, self._method, self._path, self._status, seconds)
            access_log.info("%s %s %s %s %d %.3f", *values)

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message["headers"], *HEADERS, (b"x-request-id", self._id.encode())]
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
    """uvicorn's HTTP with bounds on waiting. The head of a request must arrive within `max_seconds`, and an answer must
    be taken within them; uvicorn would wait forever. Above `max_connections`, the one whose client has been silent
    longest makes room. On shutdown, idle connections stay open a moment, as a request may be on its way; uvicorn closes
    them at once.
    """

    max_seconds = 30.0
    max_connections = 1024
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _last_used = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # `pause_writing` is called as soon as the client's system takes no more, `resume_writing` when it has all.
        transport.set_write_buffer_limits(0)
        self._last_used = self.loop.time()
        self._update_timer()
        if len(self.connections) > self.max_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        self._last_used = self.loop.time()
        super().data_received(data)
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.max_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().resume_writing()

    def shutdown(self) -> None:
        if self._idle():
            self.loop.call_later(LINGER, self._shutdown_now)
        else:
            super().shutdown()

    def _shutdown_now(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def _make_room(self) -> None:
        """Close the connection that has waited longest for its client, or else this one."""
        others = [each for each in self.connections if isinstance(each, HTTPProtocol) and each is not self]
        waiting = [each for each in others if each._waits_for_client() and not each.transport.is_closing()]
        min(waiting, key=lambda each: each._last_used, default=self).transport.abort()

    def _waits_for_client(self) -> bool:
        """Whether the client must send or take something before this connection can go on."""
        return self._idle() or self.cycle.more_body or self.flow.write_paused

    def _idle(self) -> bool:
        """Whether no request is being answered; the head of one may be arriving."""
        return self.cycle is None or self.cycle.response_complete

    def _update_timer(self) -> None:
        if not self._idle():
            self._cancel_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.max_seconds, self._time_out)

    def _cancel_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _time_out(self) -> None:
        if self.conn.our_state is h11.IDLE and not self.transport.is_closing():
            headers = [("connection", "close"), ("content-length", "0")]
            response = h11.Response(status_code=408, headers=headers, reason=b"Request Timeout")
            self.transport.write(self.conn.send(response))
            self.transport.close()
