"""A pool over plain directories, and a real `rclonepool serve` over it."""

import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("RCLONEPOOL_PROGRAM", ROOT / "target" / "debug" / "rclonepool"))
NAMES = ("attic", "basement", "cloud-a", "cloud-b")


class Served:
    """A machine with a pool and a server that lives as long as it is wanted."""

    def __init__(
        self,
        home: Path,
        *,
        redundancy: str = "parity:2+1",
        remotes: int = 4,
        users: dict[str, str] | None = None,
        **keys: Any,
    ) -> None:
        self.home = home
        self.remotes = [home / "remotes" / name for name in NAMES[:remotes]]
        for remote in self.remotes:
            remote.mkdir(parents=True)
        self.run(
            "init", "--yes", *(f"--remote={r}" for r in self.remotes), f"--redundancy={redundancy}", "--chunk-size=1M"
        )
        for name, password in (users or {}).items():
            self.run("user", "add", name, "--password-stdin", stdin=password + "\n")
        self.flags = ["--auth=basic,bearer"] if users else []
        self.set(health_check_interval=1, auto_heal=False, **keys)
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self.headers = {}
        if users:
            name, password = next(iter(users.items()))
            self.headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        tools = os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ["PATH"]])
        return {"HOME": str(self.home), "PATH": tools, "RCLONE_CONFIG": str(self.home / "rclone.conf")}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def run(self, *args: str, stdin: str = "") -> str:
        done = subprocess.run([PROGRAM, *args], env=self.environment, input=stdin, capture_output=True, text=True)
        assert done.returncode == 0, f"{args}: {done.stderr}"
        return done.stdout

    def set(self, **keys: Any) -> None:
        """Changes the configuration."""
        path = self.home / ".config/rclonepool/config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))

    def start(self) -> None:
        """Starts the server, at the address it had before."""
        args = [str(PROGRAM), "serve", "--json", f"--port={self.port}", *self.flags]
        with (self.home / "serve.log").open("a") as log:
            self.process = subprocess.Popen(args, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout
        for line in self.process.stdout:
            told = json.loads(line)
            if told.get("face") == "serve":
                self.port = told["port"]
                return
        raise AssertionError((self.home / "serve.log").read_text())

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=30)
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """A request as another client makes it."""
        request = urllib.request.Request(self.url + path, body, {**self.headers, **headers}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def api(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        return json.loads(
            self.ask(method, f".rclonepool/api/v1/{path}", data, **{"Content-Type": "application/json"}) or "null"
        )

    def put(self, path: str, data: bytes, kind: str = "application/octet-stream") -> None:
        where = f".rclonepool/api/v1/files/{quote(path.lstrip('/'), safe='')}/content"
        self.ask("PUT", where, data, **{"Content-Type": kind})

    def content(self, path: str) -> bytes:
        return self.ask("GET", quote(path.lstrip("/")))

    def exists(self, path: str) -> bool:
        try:
            self.api("GET", f"files/{quote(path.lstrip('/'), safe='')}")
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return False
        return True

    def slow_upload(self, path: str, size: int) -> "SlowUpload":
        return SlowUpload(self, path, size)

    def shards(self, remote: Path) -> list[Path]:
        return sorted(p for p in (remote / "rclonepool_data").rglob("*") if p.is_file())


class SlowUpload:
    """A client that sends a file as slowly as the test wants it to."""

    def __init__(self, served: Served, path: str, size: int) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
        self.connection.putrequest("PUT", quote(path))
        self.connection.putheader("Content-Length", str(size))
        for name, value in served.headers.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()

    def send(self, data: bytes) -> None:
        self.connection.send(data)

    def finish(self) -> int:
        status = self.connection.getresponse().status
        self.connection.close()
        return status

    def break_off(self) -> None:
        self.connection.close()
