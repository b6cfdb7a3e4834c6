"""Carries out the last stage of the Dockerfile in a root made by debootstrap, and runs what the image would run.

What the earlier stages give (the programs) is given by the caller: rclonepool as it was built, rclone as it was
fetched. Everything else is done word for word: RUN by the shell of the root, COPY, ENV, USER, WORKDIR, and at last
ENTRYPOINT with CMD, and HEALTHCHECK. Needs root, and debootstrap.

    image.py make DOCKERFILE ROOT STAGE=PROGRAM...
    image.py use DOCKERFILE ROOT                     in a network of its own, as the ports are the usual ones
"""

import base64
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Environment = dict[str, str]


@dataclass
class Image:
    """The root, and what the Dockerfile has said so far."""

    root: Path
    context: Path
    programs: dict[str, Path]
    env: Environment = field(default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/bin"})
    args: Environment = field(default_factory=dict)
    user: str = "0:0"
    directory: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def popen(self, words: list[str], extra: Environment | None = None) -> subprocess.Popen[str]:
        """Starts a program in the root, as the user and with the environment of the image."""
        user, group = self.user.split(":")
        chroot = ["chroot", f"--userspec=+{user}:+{group}", "--groups=", str(self.root), "/usr/bin/env", "-i"]
        pairs = [f"{name}={value}" for name, value in (self.env | (extra or {})).items()]
        enter = f"cd {shlex.quote(self.directory)} && exec {shlex.join(words)}"
        return subprocess.Popen(
            [*chroot, *pairs, "sh", "-c", enter], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, words: list[str], extra: Environment | None = None) -> tuple[int, str]:
        """Runs a program in the root to its end: its code, and what it said."""
        with self.popen(words, extra) as process:
            said, _ = process.communicate(timeout=300)
            return process.returncode, said

    def do(self, name: str, rest: str) -> None:
        """Carries out one instruction."""
        match name:
            case "RUN":
                code, said = self.run(["sh", "-c", rest], self.args)
                if code != 0:
                    sys.exit(f"RUN {rest}: {code}\n{said}")
            case "ARG":
                key, _, value = rest.partition("=")
                self.args[key] = value.strip('"')
            case "ENV":
                self.env |= dict(word.split("=", 1) for word in shlex.split(rest))
            case "COPY":
                self.copy(shlex.split(rest))
            case "USER":
                self.user = rest
            case "WORKDIR":
                self.directory = rest
            case "ENTRYPOINT":
                self.entrypoint = json.loads(rest)
            case "CMD":
                self.command = json.loads(rest)
            case "HEALTHCHECK":
                self.health = json.loads(rest[rest.index("CMD") + 3 :])
            case "VOLUME":
                missing = [place for place in json.loads(rest) if not (self.root / place[1:]).is_dir()]
                assert not missing, f"no directory for the volumes {missing}"
            case "LABEL" | "EXPOSE":
                pass
            case _:
                sys.exit(f"the Dockerfile has an instruction that is not known here: {name}")

    def copy(self, words: list[str]) -> None:
        options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
        source, target = (word for word in words if not word.startswith("--"))
        stage = options.get("from")
        file = self.programs[stage] if stage else self.context / source
        to = self.root / target[1:]
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
        to.chmod(int(options.get("chmod", "755" if stage else "644"), 8))


def last_stage(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions after the last FROM."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    instructions = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    begin = max(i for i, (name, _) in enumerate(instructions) if name == "FROM")
    return [(name, rest) for name, rest in instructions[begin + 1 :]]


def status(url: str, credentials: str | None = None, method: str = "GET", body: bytes | None = None) -> int:
    """The status of an answer; 0 where nobody answers."""
    request = urllib.request.Request(url, data=body, method=method)
    if credentials:
        request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def until(what: str, seconds: float, happens: Callable[[], bool]) -> None:
    """Waits until `happens()` is true."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)


def use(image: Image) -> None:
    """What people do with the image."""
    start = [*image.entrypoint, *image.command]
    code, said = image.run([*image.entrypoint, "version"])
    assert code == 0 and said.startswith("rclonepool "), said
    code, said = image.run(start)
    assert code == 7 and "there is no pool yet" in said, f"{code}: {said}"

    # Two remotes of rclone, as an account would be.
    config = image.root / "config"
    sections = [f"[disk{n}]\ntype = alias\nremote = /config/disk{n}\n" for n in (1, 2)]
    (config / "rclone.conf").write_text("\n".join(sections))
    os.chown(config / "rclone.conf", 1000, 1000)
    remotes = ["--remote", "disk1:", "--remote", "disk2:"]
    code, said = image.run([*image.entrypoint, "init", *remotes, "--redundancy", "replication:2"])
    assert code == 0, said
    code, said = image.run(start)
    assert code == 7 and "--require-auth" in said and "user add" in said, f"{code}: {said}"
    serve(image, start, {"RCLONEPOOL_ANONYMOUS": "yes"}, None)
    print("it does not start where anybody could come in, unless that is meant")

    code, said = image.run(["sh", "-c", "echo secret | docker-entrypoint user add ann --password-stdin"])
    assert code == 0, said
    settings = json.loads((config / "config.json").read_text())
    settings["webdav_auth_method"] = "basic"
    (config / "config.json").write_text(json.dumps(settings))
    serve(image, start, {}, "ann:secret")
    code, said = image.run(image.health)
    assert code == 1, f"nobody serves: {code}: {said}"
    code, said = image.run([*image.entrypoint, "doctor"])
    assert code == 0, said
    print("served, healthy when it was, and ended in order")


def serve(image: Image, start: list[str], extra: Environment, credentials: str | None) -> None:
    """Starts the server, is its client, and stops it as Docker does."""
    server = image.popen(start, extra)
    try:
        until("it is healthy", 60, lambda: image.run(image.health)[0] == 0)
        file = "http://127.0.0.1:8080/a-file"
        assert credentials is None or status(file) == 401
        assert status(file, credentials, "PUT", b"film") in (201, 204)
        assert status(file, credentials) == 200
        assert status("http://127.0.0.1:8081/api/v1/status", credentials) == 200
        # On all addresses of the container, not on loopback alone.
        listening = subprocess.run(["ss", "-Hltn"], check=True, capture_output=True, text=True).stdout
        assert re.search(r"0\.0\.0\.0:8080\b", listening), listening
        assert re.search(r"0\.0\.0\.0:8081\b", listening), listening
    finally:
        server.send_signal(signal.SIGTERM)
        said, _ = server.communicate(timeout=60)
    assert server.returncode == 0, f"{server.returncode}: {said}"


def main() -> None:
    task, dockerfile, root = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    programs = dict(word.split("=", 1) for word in sys.argv[4:])
    image = Image(root, dockerfile.resolve().parent, {stage: Path(program) for stage, program in programs.items()})
    for name, rest in last_stage(dockerfile):
        if task == "make":
            print(f"{name} {rest}")
        if task == "make" or name not in ("RUN", "COPY"):
            image.do(name, rest)
    if task == "use":
        use(image)


main()
