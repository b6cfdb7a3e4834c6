"""Plugins in this process: the snippet of the feature list, and each kind by its effect."""

import hashlib
import importlib.util
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rclonepool
from conftest import MakePool

CONTENT = random.Random(9).randbytes(2_500_000)

# As the feature list has it, and one more line that shows where it runs.
SNIPPET = """
from plugin_system import BalancerPlugin, PluginMetadata, PluginType

class CustomBalancerPlugin(BalancerPlugin):
    def get_metadata(self):
        return PluginMetadata(
            name="custom_balancer",
            version="1.0.0",
            author="Your Name",
            description="Custom balancing strategy",
            plugin_type=PluginType.BALANCER
        )
    
    def initialize(self, config):
        self.config = config
    
    def select_remote(self, remotes, chunk_size):
        # Your custom logic here
        return remotes[0]["name"]
"""  # noqa: W293

CIPHER = """
from rclonepool.plugin_system import EncryptionPlugin, PluginMetadata, PluginType

class Cipher(EncryptionPlugin):
    def get_metadata(self):
        return PluginMetadata(name="flip", version="1.0", plugin_type=PluginType.ENCRYPTION)

    def initialize(self, config):
        import os
        self.by = bytes(byte ^ config["by"] for byte in range(256))
        assert os.getpid() == config["pid"], "another process"

    def encrypt(self, data):
        return data.translate(self.by)

    def decrypt(self, data):
        return data.translate(self.by)
"""

GUARD = """
from rclonepool.plugin_system import EventHandlerPlugin, PluginHook, PluginMetadata, PluginType

class Guard(EventHandlerPlugin):
    def get_metadata(self):
        return PluginMetadata(name="guard", version="1.0", plugin_type=PluginType.EVENT_HANDLER)

    def initialize(self, config):
        self.told = config["file"]

    def handle_event(self, hook, data):
        if hook is PluginHook.PRE_DELETE:
            raise PermissionError("nothing is deleted here")
        with open(self.told, "a") as file:
            file.write(hook.value + " " + data["path"] + chr(10))
"""


def stored(tmp_path: Path, name: str, text: str) -> str:
    directory = tmp_path / "plugins"
    directory.mkdir(mode=0o700, exist_ok=True)
    file = directory / name
    file.write_text(text)
    file.chmod(0o600)
    return str(directory)


def plugins(tmp_path: Path, **known: Any) -> dict[str, Any]:
    return {
        "plugins_dir": str(tmp_path / "plugins"),
        "plugins": {key.replace("__", ":"): v for key, v in known.items()},
    }


def shards(tmp_path: Path, disk: int) -> list[Path]:
    return [file for file in (tmp_path / f"disk{disk}" / "rclonepool_data").rglob("*") if file.is_file()]


def test_the_snippet_of_the_feature_list(make: MakePool, tmp_path: Path) -> None:
    stored(tmp_path, "custom.py", SNIPPET)
    known = {"enabled": True, "file": "custom.py"}
    pool = make(3, redundancy_mode="none", **plugins(tmp_path, balancer__custom_balancer=known))
    pool.write_bytes("/f", CONTENT)
    # The first of those offered, each time.
    assert pool.read_bytes("/f") == CONTENT
    assert len(shards(tmp_path, 0)) == 3 and not shards(tmp_path, 1) and not shards(tmp_path, 2)


def test_a_cipher_runs_in_this_process(make: MakePool, tmp_path: Path) -> None:
    import os

    stored(tmp_path, "cipher.py", CIPHER)
    known = {"enabled": True, "file": "cipher.py", "config": {"by": 85, "pid": os.getpid()}}
    pool = make(**plugins(tmp_path, encryption__flip=known))
    text = b"to be seen by nobody else " * 100_000
    pool.write_bytes("/f", text)
    assert hashlib.sha256(pool.read_bytes("/f")).digest() == hashlib.sha256(text).digest()
    with pool.open("/f", "rb") as file:
        file.seek(1_234_567)
        assert file.read(1000) == text[1_234_567:1_235_567]
    found = [file.read_bytes() for disk in range(2) for file in shards(tmp_path, disk)]
    assert found and not any(b"nobody" in one for one in found)


def test_a_lost_plugin_is_named(make: MakePool, tmp_path: Path) -> None:
    import os

    directory = stored(tmp_path, "cipher.py", CIPHER)
    known = {"enabled": True, "file": "cipher.py", "config": {"by": 1, "pid": os.getpid()}}
    first = make(**plugins(tmp_path, encryption__flip=known))
    first.write_bytes("/secret", CONTENT)
    first.close()
    (Path(directory) / "cipher.py").unlink()
    pool = make(**plugins(tmp_path, encryption__flip=known))
    with pytest.raises(rclonepool.RclonePoolError, match=r"encryption:flip 1\.0"):
        pool.read_bytes("/secret")
    with pytest.raises(rclonepool.ConfigError, match="nothing is stored without the plugin encryption:flip"):
        pool.write_bytes("/plain", CONTENT)


def test_a_handler_is_told_and_refuses(make: MakePool, tmp_path: Path) -> None:
    stored(tmp_path, "guard.py", GUARD)
    told = tmp_path / "told"
    known = {"enabled": True, "file": "guard.py", "config": {"file": str(told)}}
    pool = make(**plugins(tmp_path, event_handler__guard=known))
    pool.write_bytes("/f", CONTENT)
    with pytest.raises(rclonepool.InvalidArgumentError, match="nothing is deleted here"):
        pool.rm("/f")
    assert pool.read_bytes("/f") == CONTENT
    pool.close()
    assert told.read_text().split("\n")[:2] == ["PRE_UPLOAD /f", "POST_UPLOAD /f"]


def test_what_raises_is_an_error_with_its_name(make: MakePool, tmp_path: Path) -> None:
    broken = CIPHER.replace("return data.translate(self.by)", "raise ValueError('no key today')")
    stored(tmp_path, "cipher.py", broken)
    import os

    known = {"enabled": True, "file": "cipher.py", "config": {"by": 1, "pid": os.getpid()}}
    pool = make(**plugins(tmp_path, encryption__flip=known))
    with pytest.raises(rclonepool.RclonePoolError, match="encryption:flip failed: ValueError: no key today"):
        pool.write_bytes("/f", CONTENT)


def test_the_module_needs_nothing_but_the_standard_library() -> None:
    spec = importlib.util.find_spec("rclonepool.plugin_system")
    assert spec and spec.origin
    program = f"exec(compile(open({spec.origin!r}).read(), 'plugin_system', 'exec'), {{'__name__': 'x'}})"
    subprocess.run([sys.executable, "-S", "-I", "-c", "import sys; sys.modules['x'] = sys; " + program], check=True)
