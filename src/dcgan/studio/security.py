"""What stands before every request: who may ask, from where, and how much."""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST_BODY = 4 * 2**20
COOKIE = "dcgan-token"
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True)
class SecurityMiddleware:
    """Refuses what a page of another origin, or a stranger, could send.

    Attributes:
        app: what is guarded.
        hosts: names in the Host header that are ours; None where any is, and the token decides.
        token: what every request must know, by cookie, header, or once in the address; None on loopback.
    """

    app: App
    hosts: frozenset[str] | None
    token: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        if refusal := self._refusal(scope, headers):
            await _answer(send, *refusal)
            return
        await self._pass(scope, receive, send, self._new_cookie(scope))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            return 421, "this host is not served: open the address that dcgan studio printed"  # DNS rebinding
        if scope["method"] not in ("GET", "HEAD"):
            if headers.get("origin", f"http://{host}") != f"http://{host}":
                return 403, "requests of other pages are refused"
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return 415, "send application/json"  # a form of another page cannot
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > LARGEST_BODY:
            return 413, f"at most {LARGEST_BODY >> 20} MiB"
        if self.token is not None and not self._knows(scope, headers):
            return 401, "open the address that dcgan studio printed: it holds the token"
        return None

    def _knows(self, scope: Scope, headers: dict[str, str]) -> bool:
        given = [headers.get("authorization", "").removeprefix("Bearer "), _cookie(headers), _in_address(scope)]
        return any(hmac.compare_digest(word.encode(), str(self.token).encode()) for word in given)

    def _new_cookie(self, scope: Scope) -> str | None:
        return f"{COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/" if _in_address(scope) else None

    async def _pass(self, scope: Scope, receive: Receive, send: Send, cookie: str | None) -> None:
        body = await _whole_body(receive)
        if body is None:
            await _answer(send, 413, f"at most {LARGEST_BODY >> 20} MiB")
            return
        waiting = [body]

        async def again() -> Message:
            return {"type": "http.request", "body": waiting.pop()} if waiting else await receive()

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = HEADERS | ({"set-cookie": cookie} if cookie and self.token else {})
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in extra.items())]
            await send(message)

        await self.app(scope, again, sealed)


async def _whole_body(receive: Receive) -> bytes | None:
    """A request's body; None as soon as it is larger than it may be."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_BODY:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


def _name(host: str) -> str:
    """`localhost:8000` -> `localhost`, `[::1]:8000` -> `[::1]`."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _cookie(headers: dict[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return str(found.value) if found else ""


def _in_address(scope: Scope) -> str:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=50)
    return str(query.get("token", [""])[0])


async def _answer(send: Send, status: int, text: str) -> None:
    body = f'{{"detail": "{text}"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
