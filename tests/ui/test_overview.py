"""The pool at a glance."""

import os
import re
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from served import Served

Look = Callable[..., Page]


def moves(bar: Locator) -> set[int]:
    """The values that a progress bar was seen at until it had moved three times, before its end."""
    seen: set[int] = set()
    end = time.monotonic() + 60
    while len(seen) < 4 and time.monotonic() < end:
        if bar.count() and (now := bar.first.get_attribute("aria-valuenow")):
            seen.add(int(now))
        time.sleep(0.05)
    assert len(seen) == 4 and max(seen) <= 100, seen
    return seen


def width(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box
    return box["width"]


def test_the_capacity_of_each_remote_is_drawn_and_grows(make: Callable[..., Served], look: Look) -> None:
    served = make(remotes=3)
    served.stop()
    served.set(remote_quotas={str(remote): "10MiB" for remote in served.remotes})
    served.start()
    page = look(served)
    expect(page.locator(".remote")).to_have_count(3)
    expect(page.locator("[data-files]")).to_have_text("0")
    before = width(page, ".remote .ours")
    served.put("/a.bin", os.urandom(6 << 20))
    # Nobody loads the page again: it hears of it.
    expect(page.locator("[data-files]")).to_have_text("1")
    expect(page.locator(".remote .figures").first).to_contain_text("3.0 MiB used")
    whole = width(page, ".remote .capacity")
    assert before == 0
    assert 0.25 < width(page, ".remote .ours") / whole < 0.35
    label = page.locator(".remote .capacity").first.get_attribute("aria-label")
    assert label and re.search(r"3\.0 MiB of the pool, 7\.0 MiB free of 10\.0 MiB", label)
    # All of them together, too.
    assert width(page, ".whole i") > 20
    # Filled to the brim, they say so.
    served.put("/b.bin", os.urandom(14_600_000))
    expect(page.locator(".remote[data-state=full]")).to_have_count(3)


def test_health_is_one_sentence_and_a_lost_remote_shows_while_looking(fresh: Served, look: Look) -> None:
    page = look(fresh)
    sentence = page.locator("[data-health]")
    expect(sentence).to_have_text("The pool is empty. What you put in survives the loss of any 1 remote.")
    for n in range(3):
        fresh.put(f"/f{n}.bin", os.urandom(700_000))
    expect(sentence).to_have_text("All 3 files survive the loss of any 1 remote.")
    remote = page.locator(".remote", has_text="basement")
    expect(remote).to_have_attribute("data-state", "online")
    expect(remote.locator("[data-latency]")).to_have_text(re.compile(r"\d m?s"))

    lost = fresh.remotes[1]
    lost.rename(lost.with_name("away"))
    expect(remote).to_have_attribute("data-state", "offline")
    expect(sentence).to_contain_text("basement is offline")
    expect(sentence).to_contain_text("at risk")
    expect(remote).to_contain_text("No such file or directory")
    page.get_by_role("button", name="What to do").click()
    expect(page.get_by_role("dialog")).to_contain_text("remotes replace OLD NEW")
    page.keyboard.press("Escape")

    lost.with_name("away").rename(lost)
    expect(remote).to_have_attribute("data-state", "online", timeout=30_000)
    expect(sentence).to_have_text("All 3 files survive the loss of any 1 remote.")


def test_a_transfer_is_live_with_speed_and_time_left(fresh: Served, look: Look) -> None:
    page = look(fresh)
    expect(page.locator(".connection.live")).to_be_visible()
    expect(page.locator(".transfers")).to_contain_text("Nothing is under way")
    upload = fresh.slow_upload("/slow.bin", 4 << 20)
    row = page.locator('[data-transfer="/slow.bin"]')
    told = re.compile(r"[1-9].* [KM]iB/s(.|\n)*\d s left")
    sent = 0
    while not told.search(row.inner_text() if row.count() else ""):
        assert sent < 4_000_000, row.inner_text()
        upload.send(os.urandom(100_000))
        sent += 100_000
        time.sleep(0.25)
    expect(row.locator("[data-speed]")).to_be_visible()
    now = float(row.get_by_role("progressbar").get_attribute("aria-valuenow") or 0)
    assert 0 < now <= 100 * sent / (4 << 20), (now, sent)
    upload.send(os.urandom((4 << 20) - sent))
    assert upload.finish() == 201
    expect(row).to_contain_text("done")


def test_throughput_is_drawn(fresh: Served, look: Look) -> None:
    page = look(fresh)
    canvas = page.locator(".plot canvas")
    expect(canvas).to_be_visible()
    ink = """() => {
      const c = document.querySelector(".plot canvas");
      const probe = document.createElement("i");
      probe.className = "line1";
      document.querySelector(".legend").append(probe);
      const [r, g, b] = getComputedStyle(probe).backgroundColor.match(/\\d+/g).map(Number); probe.remove();
      const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
      let n = 0, top = c.height;
      for (let i = 0; i < data.length; i += 4) {
        const off = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
        if (data[i + 3] < 200 || off > 30) continue;
        n += 1;
        top = Math.min(top, Math.floor(i / 4 / c.width));
      }
      return [n, top / c.height];
    }"""
    upload = fresh.slow_upload("/steady.bin", 6_000_000)
    peak = ""
    for _ in range(20):
        upload.send(os.urandom(300_000))
        time.sleep(0.3)
        peak = max(peak, page.locator("[data-rate=uploaded]").inner_text(), key=len)
    assert upload.finish() == 201
    assert re.fullmatch(r"[1-9].* [KM]iB/s", peak), peak

    def drawn(lowest: float) -> None:
        end = time.monotonic() + 15
        pixels, top = 0, 1
        while pixels <= 30 or top >= lowest:
            assert time.monotonic() < end, (pixels, top)
            page.wait_for_timeout(100)
            pixels, top = page.evaluate(ink)

    drawn(0.7)
    # What was, is there for whoever comes later.
    page.reload()
    expect(canvas).to_be_visible()
    drawn(1)


def test_states_of_remotes(pool: Served, look: Look) -> None:
    """A slow or draining remote takes too long to bring about: the words are asked for directly."""
    page = look(pool)
    expect(page.locator(".remote").first).to_be_visible()
    remote = {"configured": True, "online": True, "state": "active", "used": 5, "quota": None, "total": 100, "free": 50}

    def word(figures: Any = None, **changes: Any) -> str:
        script = (
            "async ([remote, figures]) => (await import('./.rclonepool/ui/overview.js')).stateOf(remote, figures).word"
        )
        return str(page.evaluate(script, [{**remote, **changes}, figures]))

    assert word() == "online"
    assert word({"latency": {"mean_ms": 4000}}) == "slow"
    assert word(free=0) == "full"
    assert word(quota=5) == "full"
    assert word(state="draining") == "draining"
    assert word(online=False) == "offline"
    assert word(configured=False) == "not configured"
