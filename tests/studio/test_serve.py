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
        refused = client.get("/?token=x")
        assert (refused.status_code, "set-cookie" in refused.headers) == (401, False)
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


def test_a_token_may_be_asked_for_on_this_machine_too(runs: Path):
    app, address = serve.create_protected_app(runs, "127.0.0.1", ("127.0.0.1", 80), always_token=True)
    with TestClient(app, "http://127.0.0.1") as client:
        assert client.get("/api/runs").status_code == 401
        assert client.get(address, headers={"host": "evil.example"}).status_code == 400
        answer = client.get(address)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert client.get("/api/runs").status_code == 200
        assert client.get("/api/runs", headers={"origin": "http://127.0.0.1:8888"}).status_code == 403


def test_the_tokens_of_two_studios_of_one_machine_do_not_replace_each_other(runs: Path):
    apps = [serve.create_protected_app(runs, "0.0.0.0", ("0.0.0.0", port)) for port in (80, 81)]
    cookies = [TestClient(app, "http://box").get(address).headers["set-cookie"] for app, address in apps]
    assert len({cookie.partition("=")[0] for cookie in cookies}) == 2


@pytest.mark.parametrize(
    ("connection", "command"),
    [
        ("192.0.2.1 50000 192.0.2.9 22", "ssh -N -L 7860:127.0.0.1:7860 ada@192.0.2.9"),
        ("2001:db8::1 50000 2001:db8::9 2222", "ssh -N -L 7860:127.0.0.1:7860 -p 2222 ada@2001:db8::9"),
        ("", ""),
        ("damaged", ""),
    ],
)
def test_a_remote_shell_is_told_how_the_page_is_reached(monkeypatch: pytest.MonkeyPatch, connection: str, command: str):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    assert serve.tunnel_command(7860, {"SSH_CONNECTION": connection}) == command


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("box", False)],
)
def test_is_loopback(address: str, is_loopback: bool):
    assert serve.is_loopback(address) == is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_accepted_connections_send_at_once(host: str):
    """asyncio turns Nagle's algorithm off only where a socket says that its protocol is TCP."""
    with serve.listen(host, 0) as listener, socket.create_connection(listener.getsockname()[:2]):
        connection, _ = listener.accept()
        with connection:
            assert (listener.proto, connection.proto) == (socket.IPPROTO_TCP, socket.IPPROTO_TCP)
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_two_studios_do_not_share_a_port():
    with serve.listen("127.0.0.1", 0) as listener, pytest.raises(UserError, match="give another --port"):
        serve.listen("127.0.0.1", listener.getsockname()[1])


def test_an_address_that_cannot_be_used_is_one_line(runs: Path, refused: Callable[..., str]):
    with serve.listen("127.0.0.1", 0) as listener:
        line = refused("studio", str(runs), "--port", str(listener.getsockname()[1]), "--no-browser")
    assert "give another --port" in line
    line = refused("studio", str(runs), "--host", "no host", "--port", "0", "--no-browser")
    assert "give another --host" in line
    assert "is no folder" in refused("studio", __file__, "--port", "0", "--no-browser")
    assert "from 0 to 65535" in refused("studio", str(runs), "--port", "70000", "--no-browser")
    assert "cannot listen" in refused("studio", str(runs), "--host", "203.0.113.1", "--port", "0", "--no-browser")
    assert "--data-root takes a folder" in refused(
        "studio", str(runs), "--port", "0", "--no-browser", "--data-root", "/nowhere"
    )
