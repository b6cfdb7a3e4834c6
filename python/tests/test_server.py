"""The REST server with a pool for each user."""

import base64
import json
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import rclonepool
from conftest import keys_for
from rclonepool.api_server import APIServer
from test_process import script


def ask(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Asks a server; gives the status and the body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=data, method=method, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def pools(base: Path) -> tuple[rclonepool.Pool, rclonepool.Pool]:
    for name in ("one", "two"):
        (base / name).mkdir()
    return rclonepool.Pool.create(keys_for(base / "one")), rclonepool.Pool.create(keys_for(base / "two"))


def test_each_user_has_a_pool(tmp_path: Path) -> None:
    pool1, pool2 = pools(tmp_path)
    pool1.write_bytes("/mine", b"ones")

    api_server = APIServer(host="127.0.0.1", port=0)
    token1 = api_server.register_user_pool("user1", pool1)
    token2 = api_server.register_user_pool("user2", pool2, password="correct horse", quota=5, read_only=False)
    api_server.start()

    at = api_server.url + "/api/v1"
    mine = at + "/files/mine/content"
    assert ask(mine)[0] == 401 and ask(mine, X_API_Key="rp_" + "x" * 43)[0] == 401
    assert ask(mine, X_API_Key=token1) == (200, b"ones")
    assert ask(mine, Authorization="Bearer " + token1) == (200, b"ones")
    # What is another's is not there.
    assert ask(mine, X_API_Key=token2)[0] == 404
    basic = "Basic " + base64.b64encode(b"user2:correct horse").decode()
    assert ask(at + "/files/theirs/content", "PUT", b"twos", Authorization=basic)[0] == 201
    assert ask(at + "/files/more/content", "PUT", b"too much", Authorization=basic)[0] == 507
    assert pool2.read_bytes("/theirs") == b"twos" and not pool1.exists("/theirs")
    listed = json.loads(ask(at + "/files?dir=/", X_API_Key=token2)[1])
    assert [entry["path"] for entry in listed["entries"]] == ["/theirs"]

    with pytest.raises(RuntimeError, match="is running"):
        api_server.register_user_pool("user3", pool1)
    waiter = threading.Thread(target=api_server.wait)
    waiter.start()
    port = int(api_server.url.rpartition(":")[2])
    api_server.stop()
    waiter.join(10)
    assert not waiter.is_alive() and not api_server.running and api_server.wait()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    # The pools that were registered go on.
    assert pool1.read_bytes("/mine") == b"ones"
    pool2.write_bytes("/later", b"2")

    with api_server:
        assert ask(api_server.url + "/api/v1/files/later/content", X_API_Key=token2) == (200, b"2")
    for pool in (pool1, pool2):
        pool.close()


def test_a_forked_child_leaves_the_server_alone(tmp_path: Path) -> None:
    program = """
        import os, sys, urllib.request
        from rclonepool import Pool
        from rclonepool.api_server import APIServer
        server = APIServer(port=0)
        token = server.register_user_pool("a", Pool.create(sys.argv[1]))
        server.start()
        child = os.fork()
        if not child:
            try:
                server.stop()
            except RuntimeError as error:
                assert "forked" in str(error)
                del server
                sys.exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        request = urllib.request.Request(server.url + "/api/v1/status", headers={"X-API-Key": token})
        print(urllib.request.urlopen(request, timeout=30).status)
        # It ends with the program.
    """
    config = tmp_path / "config.json"
    config.write_text(json.dumps(keys_for(tmp_path)))
    ran = script(program, config)
    assert (ran.returncode, ran.stdout) == (0, "200\n"), ran.stderr


def test_what_cannot_be_served_is_said(tmp_path: Path) -> None:
    pool1, pool2 = pools(tmp_path)
    with pool1, pool2, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = APIServer(port=taken.getsockname()[1])
        with pytest.raises(RuntimeError, match="nobody could sign in"):
            server.start()
        server.register_user_pool("a", pool1)
        with pytest.raises(ValueError, match="registered already"):
            server.register_user_pool("a", pool2)
        with pytest.raises(rclonepool.BusyError, match="taken by another program"):
            server.start()
        with pytest.raises(RuntimeError, match="not running"):
            server.url  # noqa: B018
        wrong = APIServer(port=0)
        wrong.register_user_pool("a", pool1, quota="a lot")
        with pytest.raises(rclonepool.InvalidArgumentError, match="a lot"):
            wrong.start()
