"""Start the studio: its socket, its token and the browser."""

import ipaddress
import os
import secrets
import socket
import sys
import threading
import webbrowser
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from dcgan.errors import UserError
from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.app import create_app
from dcgan.studio.security import protect, url_host

SHUTDOWN_TIMEOUT_S = 2
"""How long open connections, such as a page that watches a run, may delay the end."""
BROWSER_DELAY_S = 0.3
"""How long after the start the browser opens: the server then answers."""
MAX_CONNECTIONS = 800
"""How many connections may be open; the next get 503. Five hundred that say nothing shut nobody out, and a process that
may open 1,024 files, as on most systems, has enough left."""
BACKLOG = 256
"""How many connections may wait until the server accepts them."""
TOKEN_BYTES = 24


def serve(runs: Path, host: str, port: int, *, opens_browser: bool, data_roots: DataRoots | None = None) -> str:
    """Serve the studio until Ctrl-C, and return its address.

    Args:
        runs: the folder that holds the runs.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        opens_browser: whether the page opens in a browser.
        data_roots: the folders below which data may be read; by default the current one.

    Raises:
        UserError: `runs` or one of the `data_roots` is no folder, or the port cannot be used.
    """
    listener = _listen(host, port)
    with listener:
        app, address = create_protected_app(runs, host, listener.getsockname(), data_roots)
        print(f"dcgan studio: {address}  (Ctrl-C ends it; trainings go on)", file=sys.stderr, flush=True)
        if opens_browser:
            threading.Timer(BROWSER_DELAY_S, webbrowser.open, [address]).start()
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            limit_concurrency=MAX_CONNECTIONS,
        )
        uvicorn.Server(config).run(sockets=[listener])
    return address


def create_protected_app(
    runs: Path, host: str, bound_address: tuple[str, int], data_roots: DataRoots | None = None
) -> tuple[ASGIApp, str]:
    """Return the studio behind its checks, and the address to open, with a token if other machines can reach it.

    Args:
        runs: the folder that holds the runs.
        host: the address as the user gave it.
        bound_address: the address and the port that the studio listens on.
        data_roots: the folders below which data may be read; by default the current one.

    Raises:
        UserError: `runs` or one of the `data_roots` is no folder.
    """
    if runs.exists() and not runs.is_dir():
        raise UserError(f"{runs} is no folder: give the folder that holds your runs")
    for root in data_roots.paths if data_roots else ():
        if not root.is_dir():
            raise UserError(f"{root} is no folder: --data-root takes a folder below which your data lie")
    app, (bound_host, port) = create_app(runs, data_roots), bound_address[:2]
    address = f"http://{url_host(host)}:{port}/"
    if is_loopback(bound_host):
        return protect(app, hosts=(host, bound_host)), address
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return protect(app, token), f"{address}?token={token}"


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach the address. A name is no address: it may mean any machine."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise UserError(f"--port must be from 0 to 65535, not {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        # asyncio turns Nagle's algorithm off for the connections of a socket whose protocol is known to be TCP. With
        # it, every answer on a kept connection waits 40 ms for the acknowledgement of its own header.
        # `socket.create_server` does not set the protocol.
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere, it would let two studios share one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # systems differ in whether it is inherited
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise UserError(f"cannot listen on {host}, port {port}: {error.strerror}; give another --port") from None
    return listener
