"""A server from its first line to its last."""

from __future__ import annotations

import ipaddress
import re
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from inceptorch.errors import ServeError
from inceptorch.inference.engines import Engine
from inceptorch.serve.admission import Limits
from inceptorch.serve.application import application
from inceptorch.serve.metrics import Metrics
from inceptorch.serve.middleware import Protocol, edge
from inceptorch.serve.service import ModelEndpoint, Service
from inceptorch.utils.files import os_error_reason

KEEP_ALIVE = 75  # seconds that a connection may be silent between two requests; longer than proxies keep theirs
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def named(models: list[str]) -> dict[str, str]:
    """NAME=PATH, or a path under its own name, as names and paths. Raises ServeError."""
    found: dict[str, str] = {}
    for model in models:
        name, equals, path = model.partition("=")
        if not (equals and NAME.fullmatch(name)):
            path = model
            name = Path(model).resolve().name.removesuffix(".onnx")
        if not NAME.fullmatch(name):
            raise ServeError(f"{model} has no name that fits into an address; give it one: NAME={path}")
        if name in found:
            raise ServeError(f"Two models would be called {name!r}; give one another name: NAME={path}")
        found[name] = path
    return found


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises ServeError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
        # asyncio does so only for sockets made with a protocol's number; without, an answer's body waits 40 ms for its head.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        why = os_error_reason(error).partition(" (")[0] if isinstance(error, OSError) else "there is no such port"
        raise ServeError(f"{host}, port {port}: {why}; name another --host or --port.") from None


def serving_of(engines: Mapping[str, Engine], limits: Limits) -> Service:
    """What answers with these engines, by name. Raises BundleError."""
    metrics = Metrics()
    return Service(
        {name: ModelEndpoint(name, engine, limits, metrics) for name, engine in engines.items()}, limits, metrics
    )


def server_of(serving: Service, token: str | None = None) -> uvicorn.Server:
    """The server, to be run on a socket. It reads nothing from the disk while it runs, and logs only what fails."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        serving.close()

    app = application(serving, token)
    app.router.lifespan_context = lifespan
    seconds = serving.limits.seconds
    config = uvicorn.Config(
        edge(app, serving.metrics, lambda: server.should_exit),
        http=type("Protocol", (Protocol,), {"head_seconds": seconds}),
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=round(2 * seconds) + 1,  # for those whose request is still arriving
    )
    server = uvicorn.Server(config)
    return server


def run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Answer until SIGTERM or Ctrl-C, after which what was taken on is still answered, and nothing else."""

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal once more when it has ended; that must not look like a failure.
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def address(listening: socket.socket) -> str:
    """Where a socket listens, as a browser takes it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listening: socket.socket) -> bool:
    """Whether nobody but this machine can reach it."""
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback
