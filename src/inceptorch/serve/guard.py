"""What is refused from the head of a request: ambiguous framing, and what a page of another site sends.

A server without a token trusts whoever reaches it. A browser lets any page reach it, in its user's name. The page can
POST, although it cannot read the answer. Or its own host name resolves to the server's address (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True)
class Access:
    """Who may use a server.

    token        that requests must have; None: none, but then pages of other sites may not post
    local        answer only under localhost, an IP address, or an allowed name
    allow_hosts  further names of the server, whose pages may post
    """

    token: str | None = None
    local: bool = False
    allow_hosts: Collection[str] = ()

    def refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """The status and the sentence for a request that must not be answered."""
        if "content-length" in headers and "transfer-encoding" in headers:
            return 400, "The request has both Content-Length and Transfer-Encoding. Send one of them."
        if self.token is not None:
            return None
        if (self.local or self.allow_hosts) and not self._is_own_name(headers.get("host")):
            return 403, "Cannot answer under this host name. Try http://localhost, or start with --allow-host NAME."
        if method not in ("GET", "HEAD", "OPTIONS") and self._is_foreign(headers):
            return 403, "Cannot answer a page of another site. Start the server with --allow-host and the page's host."
        return None

    def _is_own_name(self, host: str | None) -> bool:
        name = None if host is None else _host_name(f"//{host}")
        # No page is at an IP address that is not its own, and programs of old may name no host.
        return host is None or name == "localhost" or name in self.allow_hosts or _is_address(name)

    def _is_foreign(self, headers: Headers) -> bool:
        """Whether a browser says that a page of another site sends this; other programs say neither."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and _host_name(origin) in self.allow_hosts:
            return False
        if site is not None:
            return site not in ("same-origin", "none")
        return origin is not None and origin.partition("://")[2] != headers.get("host")


def guarded(app: ASGIApp, access: Access) -> ASGIApp:
    """`app` without the requests that `access` refuses."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        refused = access.refusal(scope["method"], Headers(scope=scope)) if scope["type"] == "http" else None
        if refused is None:
            await app(scope, receive, send)
        else:
            await JSONResponse({"error": refused[1]}, refused[0])(scope, receive, send)

    return handle


def _host_name(url: str) -> str | None:
    """The host of a URL in lower case, without its port; None if there is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_address(name: str | None) -> bool:
    try:
        return name is not None and ipaddress.ip_address(name) is not None
    except ValueError:
        return False
