"""Start the studio: its socket, its token and the browser."""

import ipaddress
import secrets
import socket
import sys
import threading
import webbrowser
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from dcgan.errors import UserError
from dcgan.studio.app import create_app
from dcgan.studio.security import protect

SHUTDOWN_TIMEOUT_S = 2
"""How long open connections, such as a page that watches a run, may delay the end."""
BROWSER_DELAY_S = 0.3
"""How long after the start the browser opens: the server then answers."""
MAX_CONNECTIONS = 300
BACKLOG = 256
"""How many connections may wait until the server accepts them."""
TOKEN_BYTES = 24


def serve(runs: Path, host: str, port: int, *, opens_browser: bool) -> str:
    """Serve the studio until Ctrl-C, and return its address.

    Args:
        runs: the folder that holds the runs.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        opens_browser: whether the page opens in a browser.

    Raises:
        UserError: `runs` is no folder, or the port cannot be used.
    """
    listener = _listen(host, port)
    with listener:
        app, address = create_protected_app(runs, host, listener.getsockname()[1])
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


def create_protected_app(runs: Path, host: str, port: int) -> tuple[ASGIApp, str]:
    """Return the studio behind its checks, and the address to open, with a token if other machines can reach it.

    Raises:
        UserError: `runs` is no folder.
    """
    if runs.exists() and not runs.is_dir():
        raise UserError(f"{runs} is no folder: give the folder that holds your runs")
    url_host = f"[{host}]" if ":" in host else host
    if is_loopback(host):
        return protect(create_app(runs)), f"http://{url_host}:{port}/"
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return protect(create_app(runs), token), f"http://{url_host}:{port}/?token={token}"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise UserError(f"--port must be from 0 to 65535, not {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise UserError(f"cannot listen on {host}, port {port}: {error.strerror}; give another --port") from None
