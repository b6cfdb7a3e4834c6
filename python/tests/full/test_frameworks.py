"""Packages that stand on fsspec: arrays of zarr and xarray in a pool."""

import json
import shutil
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped, import-not-found, unused-ignore]
import numpy  # type: ignore[import-untyped, import-not-found, unused-ignore]
import pytest
import rclonepool
import xarray  # type: ignore[import-untyped, import-not-found, unused-ignore]
import zarr  # type: ignore[import-untyped, import-not-found, unused-ignore]
from conftest import keys_for


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(keys_for(tmp_path)))
    rclonepool.Pool.create(config).close()
    return {"config": str(config)}


def test_zarr(options: dict[str, Any], tmp_path: Path) -> None:
    numbers = numpy.arange(400 * 500).reshape(400, 500)
    array: Any = zarr.create_array(
        "rclonepool://arrays/numbers.zarr", shape=numbers.shape, chunks=(100, 100), dtype="i8", storage_options=options
    )
    array[:] = numbers
    # A remote is lost.
    shutil.rmtree(tmp_path / "disk0/rclonepool_data", ignore_errors=True)
    read: Any = zarr.open_array("rclonepool://arrays/numbers.zarr", mode="r", storage_options=options)
    assert (read[250:260, 90:310] == numbers[250:260, 90:310]).all() and (read[:] == numbers).all()
    chunks = fsspec.filesystem("rclonepool", **options).find("/arrays/numbers.zarr/c")
    assert len(chunks) == 20


def test_xarray(options: dict[str, Any]) -> None:
    values = numpy.random.default_rng(1).normal(size=(30, 20))
    table = xarray.Dataset({"t": (("day", "place"), values)}, coords={"day": range(30)}, attrs={"unit": "K"})
    table.to_zarr("rclonepool://climate.zarr", consolidated=False, storage_options=options)
    with xarray.open_zarr(
        "rclonepool://climate.zarr", storage_options=options, chunks=None, consolidated=False
    ) as read:
        assert read.attrs["unit"] == "K" and read["t"].sel(day=7).shape == (20,)
        xarray.testing.assert_identical(read.load(), table)
    more = table.assign_coords(day=range(30, 60))
    more.to_zarr("rclonepool://climate.zarr", append_dim="day", consolidated=False, storage_options=options)
    with xarray.open_zarr(
        "rclonepool://climate.zarr", storage_options=options, chunks=None, consolidated=False
    ) as read:
        assert read.sizes["day"] == 60 and (read["t"][30:].values == values).all()
