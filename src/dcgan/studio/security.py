"""The checks before every request: the host that it names, the page that sends it, its size, and its token.

The host is checked here, and not by Starlette's `TrustedHostMiddleware`, because that answers in plain text. Every
refusal of the studio is JSON with a `detail`, which the pages show.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS = frozenset(("127.0.0.1", "localhost", "[::1]"))
"""What the Host header of a request may name when only this machine reaches the studio, besides its own address."""
HOST_HEADER = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^:\[\]]+)(:\d{1,5})?", re.IGNORECASE)
TRUSTED_FETCH_SITES = ("same-origin", "none")
"""What a browser sends as Sec-Fetch-Site from the studio's own pages, and for an address that the visitor typed."""
COMPUTED_ROUTES = ("/api/", "/openapi.json")
"""The start of the addresses whose answers are computed. The other addresses are files of the package."""
MAX_BODY_BYTES = 2**20
NO_FRAME = "'none'"
"""The value of `frame-ancestors` with which no page may show the studio in a frame."""
SECURITY_HEADERS = {
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Headers of every response, also of refusals, besides the content security policy."""

Refusal = tuple[int, str]
"""The HTTP status of a refused request, and the reason."""
TOO_LARGE: Refusal = (413, f"a request has at most {MAX_BODY_BYTES >> 20} MiB")


def protect(
    app: ASGIApp, token: str | None = None, *, hosts: Iterable[str] | None = (), frame_ancestors: str = NO_FRAME
) -> ASGIApp:
    """Return an application behind the checks of this module.

    Args:
        app: the application.
        token: what every request must contain; None if none is needed.
        hosts: names and addresses that the Host header may have, besides those that every machine has for itself. A
            page of another site, whose name an attacker has bound to this address (DNS rebinding), fails that check.
            None where other machines reach the studio, by names that it does not know.
        frame_ancestors: the pages that may show the studio in a frame, as in a content security policy.
    """
    allowed = None if hosts is None else LOOPBACK_HOSTS | {url_host(host) for host in hosts}
    return SecurityMiddleware(app, token, allowed, frame_ancestors)


def url_host(host: str) -> str:
    """Return a name or an address as it stands in a URL, in lower case."""
    return f"[{host.lower()}]" if ":" in host else host.lower()


@dataclass(frozen=True)
class SecurityMiddleware:
    """Refuses requests that a page of another site, or somebody without the token, sends.

    Attributes:
        app: the application that gets the other requests.
        token: what every request must contain, in a cookie, a header or the address; None if none is needed.
        hosts: what the Host header may name; None if it may name anything.
        frame_ancestors: the pages that may show the studio in a frame.
    """

    app: ASGIApp
    token: str | None = None
    hosts: frozenset[str] | None = None
    frame_ancestors: str = NO_FRAME

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refuse(request)
        body = None if refusal else await _read_body(receive)
        if body is None:
            await _respond(refusal or TOO_LARGE, scope, receive, self._add_headers(send, None))
            return
        await self.app(scope, _replay(body, receive), self._add_headers(send, self._cookie(request)))

    def _refuse(self, request: Request) -> Refusal | None:
        return (
            self._refuse_host(request)
            or _refuse_other_page(request)
            or _refuse_content_length(request)
            or self._refuse_without_token(request)
        )

    def _refuse_host(self, request: Request) -> Refusal | None:
        header = HOST_HEADER.fullmatch(request.headers.get("host", ""))
        if self.hosts is None or (header and header["host"].lower() in self.hosts):
            return None
        return 400, "this is not a name of the studio: open the address that dcgan studio printed"

    def _refuse_without_token(self, request: Request) -> Refusal | None:
        if self.token is None or any(_is_equal(sent, self.token) for sent in _sent_tokens(request, self.token)):
            return None
        return 401, "open the address that dcgan studio printed: it contains the token"

    def _cookie(self, request: Request) -> str | None:
        """Return the cookie for a request that is not refused, or None.

        From now on it has the token, so that the addresses of the pages do not need it.
        """
        if self.token is None or not _token_in_address(request):
            return None
        return f"{token_cookie(self.token)}={self.token}; HttpOnly; SameSite=Strict; Path=/"

    def _add_headers(self, send: Send, cookie: str | None) -> Send:
        """Return a `send` that adds our headers, and a cookie, to the response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers["content-security-policy"] = (
                    "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
                    f"frame-ancestors {self.frame_ancestors}"
                )
                if cookie is not None:
                    headers.append("set-cookie", cookie)
            await send(message)

        return send_with_headers


def _refuse_other_page(request: Request) -> Refusal | None:
    """Refuse what computes or changes something and comes from a page of another site, or of another port."""
    is_read = request.method in ("GET", "HEAD")
    if is_read and not request.url.path.startswith(COMPUTED_ROUTES):
        return None  # a link on another page may lead to the studio
    own_origin = f"http://{request.headers.get('host', '')}"
    site = request.headers.get("sec-fetch-site", "none")  # other programs, and old browsers, do not send it
    if request.headers.get("origin", own_origin) != own_origin or site not in TRUSTED_FETCH_SITES:
        return 403, "requests of pages of other sites are refused"
    if not is_read and request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return 415, "send application/json"  # a form on another site's page cannot send this type
    return None


def _refuse_content_length(request: Request) -> Refusal | None:
    """Refuse a body that is too large by its own header. A body without the header is counted when it is read."""
    length = request.headers.get("content-length", "0")
    is_number = length.isascii() and length.isdigit()
    return None if is_number and int(length[:20]) <= MAX_BODY_BYTES else TOO_LARGE


def _sent_tokens(request: Request, token: str) -> tuple[str, str, str]:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return bearer, request.cookies.get(token_cookie(token), ""), _token_in_address(request)


def token_cookie(token: str) -> str:
    """Return the name of the cookie with a token: its own for each studio, because cookies do not know ports."""
    return f"dcgan-token-{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def _token_in_address(request: Request) -> str:
    return request.query_params.get("token", "")


def _is_equal(sent: str, token: str) -> bool:
    """Compare in a time that does not depend on how many characters are right."""
    return hmac.compare_digest(sent.encode(), token.encode())


async def _read_body(receive: Receive) -> bytes | None:
    """Return a request's body, or None as soon as it is larger than `MAX_BODY_BYTES`."""
    body, has_more = bytearray(), True
    while has_more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        has_more = message.get("more_body", False)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


async def _respond(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    status, reason = refusal
    await JSONResponse({"detail": reason}, status)(scope, receive, send)
