"""Files, as a person handles them."""

import os
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from samples import webm
from served import Served
from test_overview import Look, moves


def row(page: Page, name: str) -> Locator:
    return page.locator("[role=row][data-path]").filter(has=page.get_by_role("link", name=name, exact=True))


def names(page: Page) -> list[str]:
    return page.locator("[role=row][data-path] .name a").all_inner_texts()


def until(page: Page, script: str) -> None:
    """Waits; Playwright's own way would have the page evaluate text, which its policy forbids."""
    end = time.monotonic() + 15
    while not page.evaluate(script):
        assert time.monotonic() < end, script
        time.sleep(0.05)


def pick(page: Page, *wanted: str) -> None:
    for name in wanted:
        page.get_by_role("checkbox", name=f"Select {name}", exact=True).click()


def test_browse_by_links_and_breadcrumb(pool: Served, look: Look) -> None:
    page = look(pool, "files")
    row(page, "show").get_by_role("link").click()
    row(page, "deep").get_by_role("link").click()
    row(page, "er").get_by_role("link").click()
    expect(row(page, "needle in hay.txt")).to_be_visible()
    crumbs = page.get_by_role("navigation", name="Folder")
    assert crumbs.get_by_role("link").all_inner_texts() == ["All files", "show", "deep", "er"]
    crumbs.get_by_role("link", name="show").click()
    expect(row(page, "big.bin")).to_contain_text("5.0 MiB")
    page.go_back()
    expect(row(page, "needle in hay.txt")).to_be_visible()


def test_sort(pool: Served, look: Look) -> None:
    for name, size in (("b", 10), ("a10", 3), ("a2", 200)):
        pool.put(f"/sort/{name}", b"x" * size)
    page = look(pool, "files/sort")
    expect(row(page, "b")).to_be_visible()
    assert names(page) == ["a2", "a10", "b"], "numbers in names count as numbers"
    page.get_by_role("button", name="Size").click()
    assert names(page) == ["a2", "b", "a10"]
    assert page.get_by_role("columnheader", name="Size").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="Size").click()
    assert names(page) == ["a10", "b", "a2"]
    page.get_by_role("button", name="Name").click()
    page.get_by_role("button", name="Name").click()
    assert names(page) == ["b", "a10", "a2"]


def test_search_finds_here_and_deeper(pool: Served, look: Look) -> None:
    page = look(pool, "files/show")
    expect(row(page, "big.bin")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("NEEDLE")
    found = row(page, "needle in hay.txt")
    expect(found).to_contain_text("in /show/deep/er")
    expect(page.locator("[data-sum]")).to_have_text("1 match")
    page.keyboard.press("Escape")
    expect(row(page, "big.bin")).to_be_visible()
    page.keyboard.type("nowhere to be found")
    expect(page.get_by_text("Nothing here is called")).to_be_visible()


def test_upload_by_the_file_chooser(pool: Served, look: Look, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_bytes(b"one")
    (tmp_path / "two.txt").write_bytes(b"two")
    os.utime(tmp_path / "one.txt", (1_000_000_000, 1_000_000_000))
    page = look(pool, "files/chosen")
    # The folder comes with what is put into it.
    expect(page.get_by_role("alert")).to_contain_text("No such directory")
    pool.api("POST", "mkdir", {"path": "/chosen"})
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload", exact=True).click()
    chooser.value.set_files([tmp_path / "one.txt", tmp_path / "two.txt"])
    expect(page.locator(".tray")).to_contain_text("2 uploads done")
    expect(row(page, "one.txt")).to_be_visible()
    assert pool.content("/chosen/one.txt") == b"one"
    assert pool.api("GET", "files/chosen%2Fone.txt")["modified"].startswith("2001-09-09T01:46:40")

    # The same again: there is a question, and both can be kept.
    (tmp_path / "one.txt").write_bytes(b"another")
    page.locator("[data-choose=files]").set_input_files(tmp_path / "one.txt")
    page.get_by_role("dialog").get_by_role("button", name="Keep both").click()
    expect(row(page, "one (2).txt")).to_be_visible()
    page.locator("[data-choose=files]").set_input_files(tmp_path / "one.txt")
    page.get_by_role("dialog").get_by_role("button", name="Replace").click()
    expect(page.locator(".tray")).to_contain_text("4 uploads done")
    assert (pool.content("/chosen/one.txt"), pool.content("/chosen/one (2).txt")) == (b"another", b"another")


def test_upload_of_a_folder_by_the_chooser(pool: Served, look: Look, tmp_path: Path) -> None:
    (tmp_path / "album" / "side a").mkdir(parents=True)
    (tmp_path / "album" / "side a" / "1.txt").write_bytes(b"1")
    (tmp_path / "album" / "cover.txt").write_bytes(b"c")
    pool.api("POST", "mkdir", {"path": "/folders"})
    page = look(pool, "files/folders")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload folder").click()
    chooser.value.set_files(tmp_path / "album")
    expect(row(page, "album")).to_be_visible()
    expect(page.locator(".tray")).to_contain_text("2 uploads done")
    assert pool.content("/folders/album/side a/1.txt") == b"1"


def drop(page: Page, *paths: Path) -> None:
    """Drags files and folders of this machine onto the page, as the desktop does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 700, "y": 500, "data": data})
    expect(page.locator(".dropzone")).to_be_visible()
    session.send("Input.dispatchDragEvent", {"type": "drop", "x": 700, "y": 500, "data": data})


def test_upload_by_drop_of_files_and_folders(pool: Served, look: Look, tmp_path: Path) -> None:
    (tmp_path / "tree" / "in" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "in" / "leaf.txt").write_bytes(b"leaf")
    (tmp_path / "alone.txt").write_bytes(b"alone")
    pool.api("POST", "mkdir", {"path": "/dropped"})
    page = look(pool, "files/dropped")
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    drop(page, tmp_path / "tree", tmp_path / "alone.txt")
    expect(row(page, "tree")).to_be_visible()
    expect(row(page, "alone.txt")).to_be_visible()
    expect(page.locator(".dropzone")).to_have_count(0)
    expect(page.locator(".tray")).to_contain_text("2 uploads done")
    assert pool.content("/dropped/tree/in/leaf.txt") == b"leaf"
    until(page, "fetch('.rclonepool/api/v1/files/dropped%2Ftree%2Fin%2Fempty').then((r) => r.ok)")


def test_an_upload_shows_progress_and_can_be_cancelled(fresh: Served, look: Look, tmp_path: Path) -> None:
    fresh.stop()
    fresh.set(bandwidth_limit_upload_mbps=1.5)
    fresh.start()
    (tmp_path / "large.bin").write_bytes(os.urandom(40 << 20))
    page = look(fresh, "files")
    page.locator("[data-choose=files]").set_input_files(tmp_path / "large.bin")
    bar = page.get_by_role("progressbar", name="Upload of large.bin")
    assert max(moves(bar)) < 100
    expect(page.locator("[data-upload]")).to_contain_text(re.compile(r"MiB of 40.0 MiB · .*iB/s · .* left"))
    # On every page it stays in sight.
    page.get_by_role("link", name="Overview").click()
    expect(page.locator('[data-transfer="/large.bin"]')).to_be_visible()
    page.get_by_role("button", name="Cancel the upload of large.bin").click()
    expect(page.locator("[data-upload]")).to_contain_text("cancelled")
    page.wait_for_timeout(500)
    assert not fresh.exists("/large.bin")


def test_download(pool: Served, look: Look, tmp_path: Path) -> None:
    page = look(pool, "files/show")
    with page.expect_download() as got:
        page.get_by_role("link", name="Download words.txt").click()
    assert got.value.suggested_filename == "words.txt"
    assert Path(got.value.path()).read_bytes() == pool.content("/show/words.txt")
    taken = []
    page.on("download", lambda it: taken.append(it.suggested_filename))
    pick(page, "words.txt", "picture.png")
    page.get_by_role("toolbar").get_by_role("button", name="Download").click()
    end = time.monotonic() + 15
    while len(taken) < 2 and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert sorted(taken) == ["picture.png", "words.txt"]


def test_rename_move_new_folder_and_delete(pool: Served, look: Look) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        pool.put(f"/handle/{name}", name.encode())
    page = look(pool, "files/handle")
    pick(page, "a.txt")
    page.get_by_role("button", name="Rename").click()
    box = page.get_by_role("textbox", name="New name")
    box.fill("bad/name")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("A name cannot hold a slash.")
    box.fill("first.txt")
    page.keyboard.press("Enter")
    expect(row(page, "first.txt")).to_be_visible()
    expect(row(page, "a.txt")).to_have_count(0)
    assert pool.content("/handle/first.txt") == b"a.txt" and not pool.exists("/handle/a.txt")

    page.get_by_role("button", name="New folder").click()
    page.get_by_role("textbox", name="Name").fill("drawer")
    page.get_by_role("button", name="Create").click()
    expect(row(page, "drawer")).to_be_visible()

    pick(page, "first.txt", "b.txt")
    expect(page.locator("[data-sum]")).to_have_text("2 selected")
    page.get_by_role("button", name="Move").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Move here")).to_be_disabled()
    dialog.get_by_role("button", name="drawer").click()
    expect(dialog.locator("[data-target]")).to_have_text("/handle/drawer")
    dialog.get_by_role("button", name="Move here").click()
    expect(row(page, "b.txt")).to_have_count(0)
    assert pool.content("/handle/drawer/b.txt") == b"b.txt"

    # Delete asks, can be thought better of, and undone.
    pick(page, "c.txt", "drawer")
    page.get_by_role("toolbar").get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text("with all that lies in it")
    dialog.get_by_role("button", name="Cancel").click()
    expect(row(page, "c.txt")).to_be_visible()
    page.get_by_role("toolbar").get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row(page, "c.txt")).to_have_count(0)
    assert not pool.exists("/handle/drawer/b.txt")
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "c.txt")).to_be_visible()
    assert pool.content("/handle/drawer/b.txt") == b"b.txt"


def test_what_others_store_shows_by_itself(pool: Served, look: Look) -> None:
    pool.put("/others/a.txt", b"a")
    page = look(pool, "files/others")
    expect(row(page, "a.txt")).to_be_visible()
    pool.put("/others/b.txt", b"b")
    expect(row(page, "b.txt")).to_be_visible()


def test_previews(pool: Served, look: Look) -> None:
    page = look(pool, "file/show/picture.png")
    image = page.get_by_role("img", name="Preview of picture.png")
    expect(image).to_be_visible()
    assert image.evaluate("(it) => it.decode().then(() => it.naturalWidth)") == 320
    page.goto(f"{pool.url}#/file/show/words.txt")
    expect(page.locator("pre.text")).to_contain_text("Words of the pool")
    page.goto(f"{pool.url}#/file/show/page.pdf")
    frame = page.locator("iframe.pdf")
    expect(frame).to_be_visible()
    # The browser's own viewer shows it: nothing refused to load it.
    until(page, "document.querySelector('iframe.pdf').src.startsWith('blob:')")
    end = time.monotonic() + 15
    while len(page.frames) < 2 and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert len(page.frames) > 1
    page.goto(f"{pool.url}#/file/show/big.bin")
    expect(page.get_by_text("There is no preview")).to_be_visible()


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_play_and_seek_by_ranges(pool: Served, look: Look, kind: str) -> None:
    page = look(pool)
    path = "show/tone.wav"
    if kind == "video":
        path = "show/clip.webm"
        pool.put(path, webm(page, 320, 180), "video/webm")
    ranges: list[str] = []
    page.on(
        "request", lambda request: ranges.append(request.headers.get("range", "")) if "content" in request.url else None
    )
    page.goto(f"{pool.url}#/file/{path}")
    media = page.locator(kind)
    expect(media).to_be_visible()
    media.evaluate("(it) => { it.muted = true; return it.play(); }")
    until(page, f"document.querySelector('{kind}').currentTime > 0.3")
    duration = media.evaluate("(it) => it.duration")
    assert duration > 15
    target = duration - 3
    media.evaluate("(it, to) => new Promise((done) => { it.onseeked = done; it.currentTime = to; })", target)
    until(page, f"document.querySelector('{kind}').currentTime > {target} + 0.2")
    assert media.evaluate("(it) => it.error") is None
    assert all(one.startswith("bytes=") for one in ranges if one) and any(ranges), ranges


def test_where_the_shards_lie_and_verify_and_rebuild(fresh: Served, look: Look) -> None:
    fresh.put("/movie.bin", os.urandom(6 << 20))
    page = look(fresh, "file/movie.bin")
    cells = page.locator("[data-shard]")
    expect(page.locator(".shards tbody tr")).to_have_count(6)
    expect(cells).to_have_count(18)
    expect(page.locator("[data-shard=parity]")).to_have_count(6)
    health = page.locator("[data-file-health]")
    expect(health).to_contain_text("survives the loss of any 1 remote")

    # As drawn, so it lies.
    heads = page.locator(".shards thead th").all_inner_texts()[1:]
    drawn = {
        name: page.locator(f".shards tbody td:nth-child({at + 2}) [data-shard]").count()
        for at, name in enumerate(heads)
    }
    lying = {remote.name: len(fresh.shards(remote)) for remote in fresh.remotes}
    assert drawn == {name: count for name, count in lying.items() if count}

    # One shard rots, another vanishes.
    rotten = fresh.shards(fresh.remotes[0])[0]
    data = bytearray(rotten.read_bytes())
    data[100] ^= 255
    rotten.write_bytes(data)
    # Of another chunk: this redundancy mends one shard of each.
    gone = next(shard for shard in fresh.shards(fresh.remotes[2]) if shard.name[:32] != rotten.name[:32])
    gone.unlink()
    page.get_by_role("button", name="Verify every byte").click()
    expect(page.locator(".outcome.done")).to_contain_text("Damage found")
    expect(page.locator("[data-shard=damaged]")).to_have_count(2)
    expect(health).to_contain_text("1 missing")
    expect(health).to_contain_text("1 corrupt")
    page.get_by_role("button", name="Rebuild").click()
    expect(page.locator(".outcome.done")).to_contain_text("2 shards restored")
    expect(page.locator("[data-shard=damaged]")).to_have_count(0)
    expect(health).to_have_attribute("data-file-health", "healthy")
    assert sum(len(fresh.shards(remote)) for remote in fresh.remotes) == 18

    # A remote goes away while looking.
    fresh.remotes[1].rename(fresh.remotes[1].with_name("away"))
    expect(page.locator("[data-shard=away]")).to_have_count(lying["basement"])


def test_verify_of_a_file_shows_its_progress(fresh: Served, look: Look) -> None:
    fresh.put("/long.bin", os.urandom(24 << 20))
    fresh.stop()
    fresh.set(bandwidth_limit_download_mbps=2)
    fresh.start()
    page = look(fresh, "file/long.bin")
    page.get_by_role("button", name="Verify every byte").click()
    bar = page.get_by_role("progressbar", name="Verify of /long.bin")
    moves(bar)
    expect(page.locator(".outcome.done")).to_contain_text("All is as it should be", timeout=30_000)
