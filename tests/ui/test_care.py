"""Looking after the pool from the page."""

import os
import re

from playwright.sync_api import Locator, Page, expect

from served import Served
from test_overview import Look, moves


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def test_verify_finds_damage_and_rebuild_mends_it(fresh: Served, look: Look) -> None:
    fresh.put("/a.bin", os.urandom(5 << 20))
    page = look(fresh, "care")
    verify = card(page, "Verify")
    verify.get_by_role("button", name="Verify").click()
    expect(verify).to_contain_text("All is as it should be: 1 file")
    for shard in fresh.shards(fresh.remotes[3])[:2]:
        shard.write_bytes(shard.read_bytes()[:-5])
    verify.get_by_role("radio", name="Normal").check()
    verify.get_by_role("button", name="Verify").click()
    expect(verify).to_contain_text("Damage found: of the shards 2 of a wrong size")
    # The first page says so, too, and what to do about it.
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("[data-health]")).to_contain_text(re.compile("at risk|lack"))
    page.get_by_role("button", name="Rebuild now").click()
    expect(page.locator("[data-health]")).to_have_text("The one file survives the loss of any 1 remote.")
    page.get_by_role("link", name="Care").click()
    history = page.locator("[data-job=rebuild][data-state=done]")
    expect(history).to_contain_text("2 shards restored")
    rebuild = card(page, "Rebuild")
    rebuild.get_by_role("button", name="Rebuild").click()
    expect(rebuild).to_contain_text("Nothing was damaged.")


def test_rebuild_of_a_lost_directory_shows_progress_and_history(fresh: Served, look: Look) -> None:
    fresh.put("/a.bin", os.urandom(20 << 20))
    fresh.stop()
    fresh.set(bandwidth_limit_upload_mbps=2)
    fresh.start()
    page = look(fresh, "care")
    for shard in fresh.shards(fresh.remotes[0])[::2]:
        shard.unlink()
    rebuild = card(page, "Rebuild")
    rebuild.get_by_role("button", name="Rebuild").click()
    bar = rebuild.get_by_role("progressbar")
    moves(bar)
    expect(page.locator("[data-job=rebuild]").get_by_role("progressbar")).to_be_visible()
    expect(rebuild).to_contain_text("shards restored", timeout=30_000)
    line = page.locator("[data-job=rebuild][data-state=done]")
    expect(line).to_be_visible()
    # The history outlives the page.
    page.reload()
    line.get_by_role("button").click()
    expect(line.locator(".detail")).to_contain_text("shards restored")


def test_a_job_can_be_cancelled(fresh: Served, look: Look) -> None:
    fresh.put("/a.bin", os.urandom(20 << 20))
    fresh.stop()
    fresh.set(bandwidth_limit_download_mbps=1)
    fresh.start()
    page = look(fresh, "care")
    verify = card(page, "Verify")
    verify.get_by_role("radio", name="Deep").check()
    verify.get_by_role("button", name="Verify").click()
    verify.get_by_role("button", name="Cancel").click()
    expect(verify).to_contain_text("Cancelled")
    expect(page.locator("[data-job=verify][data-state=cancelled]")).to_be_visible()


def test_rebalance_shows_its_plan_first(fresh: Served, look: Look) -> None:
    # Three remotes are filled before the fourth is back.
    away = fresh.remotes[3].with_name("away")
    fresh.remotes[3].rename(away)
    page = look(fresh)
    expect(page.locator(".remote[data-state=offline]")).to_have_count(1)
    fresh.put("/a.bin", os.urandom(9 << 20))
    away.rename(fresh.remotes[3])
    expect(page.locator(".remote[data-state=online]")).to_have_count(4, timeout=30_000)
    page.get_by_role("link", name="Care").click()
    rebalance = card(page, "Rebalance")
    assert not fresh.shards(fresh.remotes[3])
    rebalance.get_by_role("button", name="Show the plan").click()
    plan = rebalance.locator("[data-plan=rebalance]")
    expect(plan.locator(".flows")).to_contain_text("cloud-b")
    fills = re.search(r"differ by (\d+\.\d) points now, and by (\d+\.\d) afterwards", plan.inner_text())
    assert fills and float(fills[1]) > 100 > 30 > float(fills[2]), plan.inner_text()
    assert not fresh.shards(fresh.remotes[3]), "a plan moves nothing"
    rebalance.get_by_role("button", name=re.compile("Move .* now")).click()
    expect(rebalance).to_contain_text(re.compile(r"\d+ shards moved"), timeout=30_000)
    assert len(fresh.shards(fresh.remotes[3])) > 3
    expect(page.locator("[data-job=rebalance][data-state=done]").first).to_contain_text("shards moved")


def test_orphans_are_listed(fresh: Served, look: Look) -> None:
    fresh.put("/a.bin", os.urandom(2 << 20))
    fresh.stop()
    fresh.set(trash_retention_hours=0)
    fresh.start()
    page = look(fresh, "care")
    orphans = card(page, "Orphans")
    orphans.get_by_role("button", name="Look for them").click()
    expect(orphans).to_contain_text("Nothing lies about that nobody needs.")
    fresh.api("DELETE", "files/a.bin")
    orphans.get_by_role("button", name="Look for them").click()
    expect(orphans).to_contain_text(
        re.compile(r"\d objects? that nobody needs? \([1-9].*MiB\)|objects that nobody needs")
    )
    expect(orphans.get_by_role("table")).to_contain_text("MiB")
    orphans.get_by_role("button", name="Free space").click()
    expect(orphans).to_contain_text(re.compile("freed"))


def test_drain_shows_its_plan_asks_and_empties_the_remote(fresh: Served, look: Look) -> None:
    fresh.put("/a.bin", os.urandom(6 << 20))
    page = look(fresh, "care")
    drain = card(page, "Drain a remote")
    drain.get_by_label("Remote to drain").select_option(label="cloud-a")
    before = len(fresh.shards(fresh.remotes[2]))
    assert before > 0
    drain.get_by_role("button", name="Show the plan").click()
    expect(drain).to_contain_text(re.compile(rf"{before} shards .* would leave it"))
    assert len(fresh.shards(fresh.remotes[2])) == before
    drain.get_by_role("button", name="Drain now").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Drain cloud-a?")
    dialog.get_by_role("button", name="Drain").click()
    expect(drain).to_contain_text("shards moved away", timeout=30_000)
    page.get_by_role("link", name="Overview").click()
    expect(page.locator(".remote", has_text="cloud-a").locator(".badge")).not_to_have_text("online")
    assert fresh.content("/a.bin")


def test_trash_restores_and_empties(fresh: Served, look: Look) -> None:
    fresh.put("/doc.txt", b"first")
    fresh.put("/doc.txt", b"second")
    fresh.put("/gone.txt", b"gone")
    fresh.api("DELETE", "files/gone.txt")
    page = look(fresh, "trash")
    expect(page.locator("[data-trashed]")).to_have_count(2)
    page.get_by_role("searchbox", name="Search the trash").fill("GONE")
    expect(page.locator("[data-trashed]")).to_have_count(1)
    page.get_by_role("button", name="Restore /gone.txt").click()
    expect(page.get_by_role("status", name="Messages")).to_contain_text("Restored “gone.txt”")
    assert fresh.content("/gone.txt") == b"gone"
    page.get_by_role("searchbox", name="Search the trash").fill("")
    page.get_by_role("button", name="Restore /doc.txt").first.click()
    expect(page.get_by_role("status", name="Messages")).to_contain_text("Restored “doc.txt”")
    assert fresh.content("/doc.txt") == b"first"
    page.get_by_role("button", name="Empty").click()
    page.get_by_role("dialog").get_by_role("button", name="Empty").click()
    expect(page.get_by_text("The trash is empty.")).to_be_visible()
    assert fresh.api("GET", "trash")["versions"] == []
