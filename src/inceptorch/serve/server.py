"""A server from its first line to its last."""

from __future__ import annotations

import asyncio
import errno
import faulthandler
import ipaddress
import logging
import os
import re
import resource
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from inceptorch.errors import ServeError
from inceptorch.serve.application import create_app
from inceptorch.serve.guard import Access, guarded
from inceptorch.serve.middleware import HTTPProtocol, access_log, with_middleware
from inceptorch.serve.service import Service
from inceptorch.utils.files import os_error_reason

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
BACKLOG = 2048  # connections that wait to be accepted
ACCEPTED_AT_ONCE = 4  # connections, before one that is too many is closed
MAX_CONNECTIONS = 1024
LAST_SECONDS = 2  # after the graceful shutdown, until the process ends whatever still runs
log = logging.getLogger("inceptorch.serve")


def parse_model_args(models: list[str]) -> dict[str, str]:
    """Paths by name, from NAME=PATH, or from PATH with its file name. Raises ServeError."""
    paths: dict[str, str] = {}
    for model in models:
        name, equals, path = model.partition("=")
        if not (equals and NAME.fullmatch(name)):
            path = model
            name = Path(model).resolve().name.removesuffix(".onnx")
        if not NAME.fullmatch(name):
            raise ServeError(f"Cannot serve {model}: its name does not fit into a URL. Name it: NAME={path}")
        if name in paths:
            raise ServeError(f"Cannot serve two models named {name!r}. Give one another name: NAME={path}")
        paths[name] = path
    return paths


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ServeError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # Without it, a response's body waits 40 ms for its head. asyncio sets it only on sockets it recognizes as TCP.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        why = os_error_reason(error).partition(" (")[0] if isinstance(error, OSError) else "there is no such port"
        raise ServeError(f"Cannot listen on {host}, port {port}: {why}. Try another --host or --port.") from None


def bind_unix(path: Path) -> socket.socket:
    """A listening socket in the file system, in place of one that a killed server left. Raises ServeError."""
    listening = socket.socket(socket.AF_UNIX)
    try:
        with suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
            if stat.S_ISSOCK(path.lstat().st_mode) and probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink()
        listening.bind(str(path))
        listening.listen(BACKLOG)
        return listening
    except OSError as error:
        listening.close()
        raise ServeError(f"Cannot listen on {path}: {os_error_reason(error)}. Try another --unix-socket.") from None


class Server(uvicorn.Server):
    """uvicorn's server, whose shutdown has an end."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # asyncio accepts as many connections in one go as may wait, before it looks at any of them.
        for listening in sockets or []:
            listening.listen(BACKLOG)
        asyncio.get_running_loop().set_exception_handler(_AcceptErrors())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On the first signal the process gets a last moment; a second Ctrl-C ends it at once."""
        if self.should_exit and sig == signal.SIGINT:
            os._exit(1)
        if not self.should_exit:
            end_after((self.config.timeout_graceful_shutdown or 0) + LAST_SECONDS, 1)
        super().handle_exit(sig, frame)


class _AcceptErrors:
    """Logs that no connection can be accepted, as when descriptors run out, once a second."""

    _last = -1.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not context["message"].startswith("socket.accept()"):
            loop.default_exception_handler(context)
        elif time.monotonic() > self._last + 1:
            self._last = time.monotonic()
            log.error("cannot accept connections: %s", os_error_reason(context["exception"]))


def create_server(service: Service, access: Access | None = None) -> Server:
    """The server, to be run on a socket. While it runs it reads nothing from the disk, and logs failures and, at level
    INFO, requests."""
    access = access or Access()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = create_app(service, access.token)
    app.router.lifespan_context = lifespan
    bounds = {"max_seconds": service.limits.max_seconds, "max_connections": _max_connections()}
    config = uvicorn.Config(
        with_middleware(guarded(app, access), service.metrics, lambda: server.should_exit),
        http=type("HTTPProtocol", (HTTPProtocol,), bounds),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=ACCEPTED_AT_ONCE,
        timeout_keep_alive=75,  # seconds; longer than proxies keep theirs
        # For requests that are still arriving, and then for their answers.
        timeout_graceful_shutdown=round(2 * service.limits.max_seconds) + 1,
    )
    server = Server(config)
    service.metrics.connections.set_function(lambda: len(server.server_state.connections))
    return server


def _max_connections() -> int:
    """As many as the process may have descriptors, but for the open ones, and for connections about to be closed."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, descriptors - len(os.listdir("/dev/fd")) - 6 * ACCEPTED_AT_ONCE))


def run(server: Server, listening: socket.socket) -> None:
    """Answer until SIGTERM, SIGHUP or Ctrl-C; then answer what was accepted, and nothing else. SIGUSR1 writes to
    standard error where every thread is."""

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    # When it has ended, uvicorn raises the signal again; that must not look like a failure.
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, server.handle_exit)
    faulthandler.register(signal.SIGUSR1)
    try:
        server.run(sockets=[listening])
    finally:
        faulthandler.unregister(signal.SIGUSR1)
        for number, handler in before.items():
            signal.signal(number, handler)


def end_after(seconds: float, code: int) -> None:
    """End the process after so long, unless it has ended before: a decoder or an engine may never come back, and Python
    waits for its threads."""

    def end() -> None:
        if code:
            message = f"inceptorch: ended {seconds:g} seconds after the signal, with work left"
            print(message, file=sys.stderr, flush=True)
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def log_requests() -> None:
    """Write a line per request to standard error: time, id, client, method, path, status and seconds."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    access_log.addHandler(handler)
    access_log.setLevel(logging.INFO)


def url_of(listening: socket.socket) -> str:
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listening: socket.socket) -> bool:
    """Whether only this machine can reach the socket, and a browser on it can."""
    return listening.family != socket.AF_UNIX and ipaddress.ip_address(listening.getsockname()[0]).is_loopback
