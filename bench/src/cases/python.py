"""What Python costs: python.py CONFIG FILE ROUNDS DIRECTORY WEBDAV_URL. Prints figures as JSON.

``reads``: the seconds of reading FILE in 1 MiB pieces, once per round; ``bytes`` of each. ``ours`` and ``theirs``: the
seconds of listing DIRECTORY through our file system of fsspec and through that of WebDAV, in turns; the numbers of
``entries`` of both.
"""

import json
import sys
import time

from rclonepool import Pool
from rclonepool.fsspec import RclonePoolFileSystem
from webdav4.fsspec import WebdavFileSystem

PIECE = 1 << 20


def read(pool: Pool, path: str) -> tuple[float, int]:
    began, count = time.perf_counter(), 0
    with pool.open(path, "rb") as file:
        while piece := file.read(PIECE):
            count += len(piece)
    return time.perf_counter() - began, count


def listing(files: object, directory: str) -> tuple[float, int]:
    began = time.perf_counter()
    found = files.ls(directory, detail=True)
    return time.perf_counter() - began, len(found)


def main(config: str, path: str, rounds: str, directory: str, url: str) -> None:
    with Pool(json.loads(config)) as pool:
        reads = [read(pool, path) for _ in range(int(rounds))]
        ours = RclonePoolFileSystem(pool=pool, skip_instance_cache=True)
        theirs = WebdavFileSystem(url, skip_instance_cache=True)
        listings = [(listing(ours, directory), listing(theirs, directory)) for _ in range(int(rounds))]
    figures = {
        "reads": [seconds for seconds, _ in reads],
        "bytes": [count for _, count in reads],
        "ours": [mine[0] for mine, _ in listings],
        "theirs": [other[0] for _, other in listings],
        "entries": [mine[1] for mine, _ in listings] + [other[1] for _, other in listings],
    }
    print(json.dumps(figures))


main(*sys.argv[1:])
