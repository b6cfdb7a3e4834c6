"""Pictures of every page: `make screenshots` puts them into target/screenshots, and two into docs."""

import os
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from samples import pdf, png, wav, webm
from served import ROOT, Served

OUT = ROOT / "target" / "screenshots"
DESK, PHONE = (1280, 860), (360, 760)


def fill(served: Served) -> None:
    noise = random.Random(7)
    served.put("/holiday/coast.png", png(900, 420, noise.randbytes(5_400_000)), "image/png")
    served.put("/holiday/notes.md", b"# The coast\n\nThree days of wind and one of sun.\n", "text/markdown")
    served.put("/holiday/harbour tone.wav", wav(5), "audio/wav")
    served.put("/papers/tax return 2025.pdf", pdf(), "application/pdf")
    for name, size in (
        ("holiday/coast walk.mkv", 9_400_000),
        ("backups/laptop-2026-11.tar", 6_200_000),
        ("backups/phone.zip", 2_900_000),
    ):
        served.put(
            "/" + name,
            noise.randbytes(size),
            "video/x-matroska" if name.endswith("mkv") else "application/octet-stream",
        )
    for n in range(24):
        served.put(f"/music/{n + 1:02} track.flac", noise.randbytes(40_000 + n * 3000), "audio/flac")
    served.put("/old list.txt", b"gone")
    served.put("/draft.txt", b"gone, too")
    for name in ("old%20list.txt", "draft.txt"):
        served.api("DELETE", f"files/{name}")


def shoot(page: Page, name: str) -> None:
    page.wait_for_timeout(700)
    page.screenshot(path=OUT / f"{name}.png")


def tour(browser: Browser, served: Served, suffix: str, size: tuple[int, int], scheme: str) -> None:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(served.url)
    page.wait_for_selector("[data-health]")
    page.wait_for_selector(".plot canvas")
    shoot(page, f"overview-{suffix}")
    if size == PHONE:
        page.screenshot(path=OUT / f"overview-{suffix}-whole.png", full_page=True)
    for name, where in (("files", "files/holiday"), ("music", "files/music")):
        page.goto(f"{served.url}#/{where}")
        page.wait_for_selector("[role=row][data-path]")
        if name == "music":
            page.locator(".pick input").nth(2).click()
            page.locator(".pick input").nth(4).click()
        shoot(page, f"{name}-{suffix}")
    for name, where in (("image", "coast.png"), ("video", "clip.webm")):
        page.goto(f"{served.url}#/file/holiday/{where}")
        page.wait_for_selector(".shards, .facts")
        page.wait_for_timeout(500)
        page.screenshot(path=OUT / f"file-{name}-{suffix}.png", full_page=True)
    page.goto(f"{served.url}#/file/papers/tax%20return%202025.pdf")
    page.wait_for_selector("iframe")
    page.wait_for_timeout(1500)
    shoot(page, f"file-pdf-{suffix}")
    page.goto(f"{served.url}#/care")
    page.get_by_role("button", name="Verify").first.click()
    page.wait_for_selector(".outcome.done")
    page.locator("section", has=page.locator("#rebalance")).get_by_role("button", name="Show the plan").click()
    page.wait_for_selector("[data-plan=rebalance]")
    page.wait_for_timeout(500)
    page.screenshot(path=OUT / f"care-{suffix}.png", full_page=True)
    page.goto(f"{served.url}#/trash")
    page.wait_for_selector("[data-trashed]")
    shoot(page, f"trash-{suffix}")
    page.goto(f"{served.url}#/files/holiday")
    page.wait_for_selector("[role=row][data-path]")
    page.locator(".pick input").nth(2).click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_selector("dialog[open]")
    shoot(page, f"delete-{suffix}")
    context.close()


def busy(served: Served, stop: threading.Event) -> None:
    """Somebody uploads something, slowly."""
    upload = served.slow_upload("/holiday/evening.mkv", 60 << 20)
    data = os.urandom(128 << 10)
    for _ in range(480):
        if stop.is_set():
            break
        upload.send(data)
        time.sleep(0.12)
    upload.break_off()


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    home = Path(tempfile.mkdtemp(prefix="rclonepool-ui."))
    served = Served(home)
    served.stop()
    quotas = {
        str(remote): quota for remote, quota in zip(served.remotes, ("40MiB", "60MiB", "32MiB", "48MiB"), strict=True)
    }
    served.set(remote_quotas=quotas)
    served.start()
    stop = threading.Event()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            fill(served)
            page = browser.new_page()
            page.goto(served.url)
            served.put("/holiday/clip.webm", webm(page), "video/webm")
            page.close()
            client = threading.Thread(target=busy, args=(served, stop))
            client.start()
            only = sys.argv[1:]
            for suffix, size, scheme in (
                ("light", DESK, "light"),
                ("dark", DESK, "dark"),
                ("phone", PHONE, "light"),
                ("phone-dark", PHONE, "dark"),
            ):
                if not only or suffix in only:
                    tour(browser, served, suffix, size, scheme)
            stop.set()
            client.join()
            lost = served.remotes[1]
            lost.rename(lost.with_name("away"))
            context = browser.new_context(viewport={"width": DESK[0], "height": DESK[1]})
            page = context.new_page()
            page.goto(served.url)
            page.wait_for_selector("[data-state=offline]", timeout=20_000)
            shoot(page, "offline")
            page.goto(f"{served.url}#/file/holiday/coast.png")
            page.wait_for_selector(".shards")
            page.wait_for_timeout(500)
            page.screenshot(path=OUT / "file-offline.png", full_page=True)
        finally:
            stop.set()
            browser.close()
            served.close()
    for picture, name in (("overview-light", "web-ui-overview"), ("file-image-dark", "web-ui-file")):
        if (OUT / f"{picture}.png").exists():
            shutil.copy(OUT / f"{picture}.png", ROOT / "docs" / f"{name}.png")
    print(f"{len(list(OUT.iterdir()))} pictures in {OUT}")


if __name__ == "__main__":
    main()
