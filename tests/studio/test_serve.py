import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dcgan.errors import UserError
from dcgan.studio import security, serve


def test_other_machines_need_the_token(runs: Path):
    app, address = serve.create_protected_app(runs, "0.0.0.0", ("0.0.0.0", 80))
    token = address.partition("?token=")[2]
    assert len(token) >= 24
    with TestClient(app, "http://box.example") as client:
        for headers in ({}, {"authorization": "Bearer x"}, {"cookie": b"dcgan-token=\xe9"}, {"cookie": 'a="; ;='}):
            assert client.get("/api/runs", headers=headers).status_code == 401
        assert client.get("/?token=x").status_code == 401
        assert client.get("/api/runs", headers={"authorization": f"Bearer {token}"}).status_code == 200
        assert "set-cookie" in client.get(f"/?token={token}").headers
        assert client.get("/api/runs").status_code == 200  # the client sends the cookie


@pytest.mark.parametrize(
    ("host", "bound_host", "address"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:80/"),
        ("::1", "::1", "http://[::1]:80/"),
        ("127.0.0.2", "127.0.0.2", "http://127.0.0.2:80/"),
        ("LOCALHOST", "127.0.0.1", "http://localhost:80/"),
        ("localhost", "::1", "http://localhost:80/"),
        ("box", "127.0.1.1", "http://box:80/"),  # as Debian writes it into /etc/hosts
        ("127.1", "127.0.0.1", "http://127.1:80/"),
    ],
)
def test_this_machine_needs_no_token(runs: Path, host: str, bound_host: str, address: str):
    app, printed_address = serve.create_protected_app(runs, host, (bound_host, 80))
    assert printed_address == address
    with TestClient(app) as client:
        for name in (address.removeprefix("http://").removesuffix("/"), f"{security.url_host(bound_host)}:80"):
            assert client.get("/api/runs", headers={"host": name}).status_code == 200
        assert client.get("/api/runs", headers={"host": "127.0.0.3"}).status_code == 400


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("box", False)],
)
def test_is_loopback(address: str, is_loopback: bool):
    assert serve.is_loopback(address) == is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_accepted_connections_send_at_once(host: str):
    """asyncio turns Nagle's algorithm off only where a socket says that its protocol is TCP."""
    with serve._listen(host, 0) as listener, socket.create_connection(listener.getsockname()[:2]):
        connection, _ = listener.accept()
        with connection:
            assert (listener.proto, connection.proto) == (socket.IPPROTO_TCP, socket.IPPROTO_TCP)
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_two_studios_do_not_share_a_port():
    with serve._listen("127.0.0.1", 0) as listener, pytest.raises(UserError, match="give another --port"):
        serve._listen("127.0.0.1", listener.getsockname()[1])


def test_an_address_that_cannot_be_used_is_one_line(runs: Path, refused: Callable[..., str]):
    with serve._listen("127.0.0.1", 0) as listener:
        line = refused("studio", str(runs), "--port", str(listener.getsockname()[1]), "--no-browser")
    assert "give another --port" in line
    assert "is no folder" in refused("studio", __file__, "--port", "0", "--no-browser")
    assert "from 0 to 65535" in refused("studio", str(runs), "--port", "70000", "--no-browser")
    assert "cannot listen" in refused("studio", str(runs), "--host", "203.0.113.1", "--port", "0", "--no-browser")
    assert "--data-root takes a folder" in refused(
        "studio", str(runs), "--port", "0", "--no-browser", "--data-root", "/nowhere"
    )
