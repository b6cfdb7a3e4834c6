"""A large file, read piece by piece."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from conftest import keys_for

GIB = 1 << 30

PROGRAM = """
    import sys, rclonepool
    def peak():
        line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
        return int(line.split()[1]) // 1024
    total = int(sys.argv[2])
    with rclonepool.Pool.create(sys.argv[1]) as pool:
        block = bytes(range(256)) * (16 << 12)
        with pool.open("/large", "wb") as file:
            for _ in range(total // len(block)): file.write(block)
        open("/proc/self/clear_refs", "w").write("5")
        with pool.open("/large", "rb") as file:
            count, early = 0, None
            while piece := file.read(1 << 20):
                assert piece == block[:1 << 20]
                count += len(piece)
                if count == 1 << 30: early = peak()
        print(count, early, peak())
"""


def test_ten_gib_in_1_mib_pieces_take_no_more_memory_than_one(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    # Every chunk is the same one, so that the disk need not hold them; each is read and verified anew.
    keys: dict[str, Any] = {"enable_deduplication": True, "enable_chunk_cache": False, "redundancy_mode": "none"}
    config.write_text(json.dumps(keys_for(tmp_path, chunk_size=16 << 20, memory_limit_mb=64, **keys)))
    words = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(config), str(10 * GIB)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=1800)
    assert ran.returncode == 0, ran.stderr
    count, early, last = map(int, ran.stdout.split())
    assert count == 10 * GIB and last - early < 8, f"{early} MiB after 1 GiB, {last} after 10"
