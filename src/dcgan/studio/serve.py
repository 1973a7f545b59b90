"""Starting the studio: the socket, the token, the browser."""

import ipaddress
import secrets
import socket
import sys
import threading
import webbrowser
from pathlib import Path

import uvicorn

from dcgan.errors import UserError
from dcgan.studio.app import create_app
from dcgan.studio.security import App, SecurityMiddleware

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
WAIT_AT_END = 2
"""Seconds that open connections (a page that watches) may hold up the end."""


def serve(runs: Path, host: str, port: int, *, opens_browser: bool) -> str:
    """Serve the studio until Ctrl-C; returns its address.

    Raises:
        UserError: the folder or the port cannot be had.
    """
    listening = _listen(host, port)
    with listening:
        app, address = guarded(runs, host, listening.getsockname()[1])
        print(f"dcgan studio: {address}  (Ctrl-C ends it; trainings go on)", file=sys.stderr, flush=True)
        if opens_browser:
            threading.Timer(0.3, webbrowser.open, [address]).start()
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=WAIT_AT_END, limit_concurrency=300
        )
        uvicorn.Server(config).run(sockets=[listening])
    return address


def guarded(runs: Path, host: str, port: int) -> tuple[App, str]:
    """The studio behind its guard, and the address to open: with a token where others can reach it."""
    if runs.exists() and not runs.is_dir():
        raise UserError(f"{runs} is no folder: give the folder that holds your runs")
    shown = f"[{host}]" if ":" in host else host
    if is_loopback(host):
        return SecurityMiddleware(create_app(runs), LOOPBACK), f"http://{shown}:{port}/"
    token = secrets.token_urlsafe(24)
    return SecurityMiddleware(create_app(runs), None, token), f"http://{shown}:{port}/?token={token}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise UserError(f"--port must be from 0 to 65535, not {port}")
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(place[:2], family=family, backlog=256)
    except OSError as error:
        raise UserError(f"cannot listen on {host}, port {port}: {error.strerror}; give another --port") from None
