"""Start the studio: its socket, its token and the browser."""

import getpass
import ipaddress
import os
import secrets
import shlex
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from dcgan.errors import UserError
from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.app import create_app
from dcgan.studio.security import NO_FRAME, protect, url_host

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


def serve(
    runs: Path,
    host: str,
    port: int,
    *,
    opens_browser: bool,
    data_roots: DataRoots | None = None,
    always_token: bool = False,
    on_ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the studio until Ctrl-C.

    Args:
        runs: the folder that holds the runs.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        opens_browser: whether the page opens in a browser.
        data_roots: the folders below which data may be read; by default the current one.
        always_token: whether a token is needed even if only this machine reaches the studio.
        on_ready: called with the address of the studio once a browser can connect to it.

    Raises:
        UserError: `runs` or one of the `data_roots` is no folder, or the port cannot be used.
        KeyboardInterrupt: Ctrl-C ended it.
    """
    listener = listen(host, port)
    with listener:
        bound_address = listener.getsockname()
        app, address = create_protected_app(runs, host, bound_address, data_roots, always_token=always_token)
        print(f"dcgan studio: {address}  (Ctrl-C ends it; trainings go on)", file=sys.stderr, flush=True)
        if is_loopback(bound_address[0]) and (command := tunnel_command(bound_address[1], os.environ)):
            print(f"on your own computer: {command}  and open {address}", file=sys.stderr, flush=True)
        elif opens_browser:
            threading.Timer(BROWSER_DELAY_S, webbrowser.open, [address]).start()
        on_ready(address)
        make_server(app).run(sockets=[listener])


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server with the studio's limits."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        limit_concurrency=MAX_CONNECTIONS,
    )
    return uvicorn.Server(config)


def tunnel_command(port: int, environment: Mapping[str, str]) -> str:
    """Return the command that leads a port of the user's own computer to this one; empty if this is not a remote shell.

    Args:
        port: of the studio.
        environment: `SSH_CONNECTION` holds the addresses and ports of both ends.
    """
    ends = environment.get("SSH_CONNECTION", "").split()
    if len(ends) != 4:
        return ""
    _, _, server, ssh_port = ends
    options = [] if ssh_port == "22" else ["-p", ssh_port]
    try:
        user = getpass.getuser()
    except OSError:  # a user without a name, as in some containers
        user = "USER"
    return shlex.join(["ssh", "-N", "-L", f"{port}:127.0.0.1:{port}", *options, f"{user}@{server}"])


def create_protected_app(
    runs: Path,
    host: str,
    bound_address: tuple[str, int],
    data_roots: DataRoots | None = None,
    *,
    always_token: bool = False,
    frame_ancestors: str = NO_FRAME,
) -> tuple[ASGIApp, str]:
    """Return the studio behind its checks, and the address to open, with a token if other machines can reach it.

    Args:
        runs: the folder that holds the runs.
        host: the address as the user gave it.
        bound_address: the address and the port that the studio listens on.
        data_roots: the folders below which data may be read; by default the current one.
        always_token: whether a token is needed even if only this machine reaches the studio.
        frame_ancestors: the pages that may show the studio in a frame.

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
    hosts = (host, bound_host) if is_loopback(bound_host) else None
    token = secrets.token_urlsafe(TOKEN_BYTES) if always_token or hosts is None else None
    protected = protect(app, token, hosts=hosts, frame_ancestors=frame_ancestors)
    return protected, f"{address}?token={token}" if token else address


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach the address. A name is no address: it may mean any machine."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raise UserError if the port cannot be used."""
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
        wrong = "--host" if isinstance(error, socket.gaierror) else "--port"
        raise UserError(f"cannot listen on {host}, port {port}: {error.strerror}; give another {wrong}") from None
    return listener
