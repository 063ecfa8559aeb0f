"""A server from its first line to its last."""

from __future__ import annotations

import ipaddress
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from inceptorch.errors import ServeError
from inceptorch.serve.application import create_app
from inceptorch.serve.middleware import HTTPProtocol, with_middleware
from inceptorch.serve.service import Service
from inceptorch.utils.files import os_error_reason

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


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
        listening = socket.create_server((host, port), family=family, backlog=2048)
        # Without it, a response's body waits 40 ms for its head. asyncio sets it only on sockets it recognizes as TCP.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        why = os_error_reason(error).partition(" (")[0] if isinstance(error, OSError) else "there is no such port"
        raise ServeError(f"Cannot listen on {host}, port {port}: {why}. Try another --host or --port.") from None


def create_server(service: Service, token: str | None = None) -> uvicorn.Server:
    """The server, to be run on a socket. While it runs it reads nothing from the disk and logs only failures."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = create_app(service, token)
    app.router.lifespan_context = lifespan
    max_seconds = service.limits.max_seconds
    config = uvicorn.Config(
        with_middleware(app, service.metrics, lambda: server.should_exit),
        http=type("HTTPProtocol", (HTTPProtocol,), {"max_seconds": max_seconds}),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,  # seconds; longer than proxies keep theirs
        timeout_graceful_shutdown=round(2 * max_seconds) + 1,  # for requests that are still arriving
    )
    server = uvicorn.Server(config)
    return server


def run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Answer until SIGTERM or Ctrl-C; then answer what was accepted, and nothing else."""

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    # When it has ended, uvicorn raises the signal again; that must not look like a failure.
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listening: socket.socket) -> bool:
    """Whether only this machine can reach the socket."""
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback
