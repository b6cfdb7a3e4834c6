"""Pools two directories, stores a data set, loses one directory, and reads the data set back.

    pip install rclonepool[fsspec] pandas
    python examples/python/tutorial.py

Directories stand in for remotes here; ``"mega1:"`` or ``"s3:bucket/dir"``, as rclone knows them, work the same.
Without pandas the standard library does what is asked of it.
"""

import csv
import shutil
import tempfile
from pathlib import Path

import rclonepool


def main(base: Path) -> None:
    # 1. A pool: every chunk lies on both remotes, so either of them may be lost.
    remotes = [base / "disk1", base / "disk2"]
    for remote in remotes:
        remote.mkdir()
    config = {
        "remotes": [str(remote) for remote in remotes],
        "redundancy_mode": "replication",
        "replication_factor": 2,
        "manifest_cache_dir": str(base / "index"),
    }
    with rclonepool.Pool.create(config) as pool:
        print(f"made the pool {pool.id}; it outlives {pool.status()['tolerated']} lost remote")

        # 2. A data set: written like any file. It appears when the block ends, whole or not at all.
        with pool.open("/data/squares.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["n", "square"])
            table.writerows([n, n * n] for n in range(10_000))
        entry = pool.stat("/data/squares.csv")
        print(f"stored {entry.path}: {entry.size} bytes")

    # 3. A remote is lost, and with it all that this machine knew of the pool.
    shutil.rmtree(remotes[1])
    shutil.rmtree(base / "index")

    # 4. What is left gives everything back.
    with rclonepool.Pool(config) as pool:
        health = pool.health()
        print(f"the pool is {health['state'].replace('_', ' ')}; recoverable: {health['recoverable']}")
        with pool.open("/data/squares.csv", newline="") as file:
            try:
                import pandas
            except ImportError:
                total = sum(int(row["square"]) for row in csv.DictReader(file))
            else:
                total = int(pandas.read_csv(file)["square"].sum())
        print(f"the sum of the squares is {total}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
