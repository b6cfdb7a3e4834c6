"""Types and documentation: reports have the keys that their types say, and everything explains itself."""

import inspect
import random
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import rclonepool
from conftest import MakePool
from rclonepool import reports


def check(value: Any, kind: Any, where: str) -> None:
    """That a value is of a type of the reports."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is not None:
            check(value, next(one for one in arguments if one is not type(None)), where)
        else:
            assert type(None) in arguments, where
    elif origin is typing.NotRequired:
        check(value, arguments[0], where)
    elif origin is list:
        assert isinstance(value, list), where
        for one in value:
            check(one, arguments[0], where + "[]")
    elif origin is dict:
        assert isinstance(value, dict), where
    elif origin is typing.Literal:
        assert value in arguments, (where, value)
    elif typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        required = {name for name, hint in hints.items() if typing.get_origin(hint) is not typing.NotRequired}
        assert set(value) <= set(hints), (where, set(value) - set(hints))
        assert not kind.__total__ or required <= set(value), (where, required - set(value))
        for name, one in value.items():
            check(one, hints[name], f"{where}.{name}")
    else:
        assert isinstance(value, (int, float) if kind is float else kind), (where, value, kind)


def test_reports_are_as_typed(make: MakePool, tmp_path: Path) -> None:
    pool = make(3, redundancy_mode="parity", parity_data_shards=2, parity_parity_shards=1, file_hashes=["md5"])
    content = random.Random(11).randbytes(2_500_000)
    (tmp_path / "f").write_bytes(content)
    check(pool.upload(tmp_path / "f", "/f"), reports.UploadReport, "upload")
    check(pool.download("/f", tmp_path / "g"), reports.DownloadReport, "download")
    pool.write_bytes("/small", b"1")
    for path in ("/f", "/small"):
        check(pool.manifest(path), reports.ManifestReport, "manifest")
    check(pool.mv("/small", "/s"), reports.ChangeReport, "mv")
    check(pool.rm("/s"), reports.ChangeReport, "rm")
    check(pool.trash(), list[reports.TrashedVersion], "trash")
    check(pool.restore("/s"), reports.RestoreReport, "restore")
    check(pool.status(), reports.PoolStatus, "status")
    check(pool.sync(), reports.SyncReport, "sync")
    check(pool.cache_stats(), reports.CacheStats, "cache")
    check(pool.balance_status(), reports.BalanceStatus, "balance")
    check(pool.rebalance(dry_run=True), reports.RebalancePlan, "rebalance plan")
    check(pool.rebalance(), reports.RebalanceReport, "rebalance")
    shards = [p for p in (tmp_path / "disk1").glob("rclonepool_data/*/*") if p.is_file()]
    shards[0].unlink()
    shards[1].write_bytes(b"short")
    verified = pool.verify(deep=True)
    assert verified["listed"]
    check(verified, reports.VerifyReport, "verify")
    check(pool.health(), reports.HealthReport, "health")
    check(pool.repair("/f", tmp_path / "f", dry_run=True), reports.RepairReport, "repair")
    check(pool.rebuild(all=True, accept_loss=True, dry_run=True), reports.RebuildPlan, "rebuild plan")
    check(pool.rebuild(all=True, accept_loss=True), reports.RebuildReport, "rebuild")
    check(pool.convert("replication:2", dry_run=True), reports.ConvertPlan, "convert plan")
    check(pool.convert("replication:2"), reports.ConvertReport, "convert")
    check(pool.orphans(), reports.OrphansReport, "orphans")
    check(pool.gc(min_age=0), reports.GcReport, "gc")


def test_a_wrong_report_would_be_seen() -> None:
    with pytest.raises(AssertionError):
        check({"entries": 1}, reports.ChangeReport, "x")
    with pytest.raises(AssertionError):
        check({"entries": "1", "stale": False}, reports.ChangeReport, "x")


def test_everything_explains_itself() -> None:
    for name in rclonepool.__all__:
        thing = getattr(rclonepool, name)
        if not inspect.isclass(thing):
            continue
        assert inspect.getdoc(thing), name
        for member, value in vars(thing).items():
            if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                assert inspect.getdoc(getattr(thing, member)), f"{name}.{member}"
