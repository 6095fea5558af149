"""The console in Chromium: what a first visit loads and how soon it can be used, ten thousand devices on one page, how
soon the end of a round is on the screen, and whether everybody can read every page.

The hub, its MongoDB, the agents and the browser are real and share this machine. The ten thousand devices are records
in the registry that were heard of just now.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright

from bench.browser import AXE_RUN, CHROMIUM_ARGUMENTS, ROOT, axe_loaded, chromium, violations
from bench.calm import undisturbed
from bench.hubs import BenchHub
from bench.progress import say
from bench.report import Verdict, at_least, at_most
from flip_demo.federation import ADMIN, Federation
from flip_demo.layout import Layout, Ports
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.store import DeviceStore
from flip_hub.federation.fab import build_fab
from flip_hub.federation.schemas import RunRequest, Value
from flip_hub.mongo import Mongo
from flip_wire.fleet import DeviceId, ReportedState, ServingModel
from flip_wire.health import Condition, HealthReport, Severity
from flip_wire.version import WIRE_VERSION

WIDE, NARROW = ViewportSize(width=1280, height=800), ViewportSize(width=360, height=740)
PATIENCE = 60_000
"""Milliseconds until something that a bench waits for has failed."""
DEVICES = ("north", "east")
PAGES = ("/", "/devices", "/devices?view=map", "/enrol", "/runs", "/runs/new", "/runs/compare", "/models", "/alerts",
         "/users", "/audit", "/system", "/settings", "/account")  # fmt: skip

_WATCH = """
(() => {
  window.longTasks = [];
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) window.longTasks.push({start: task.startTime, took: task.duration});
  }).observe({type: 'longtask', buffered: true});
  window.drawnAt = null;
  window.headedAt = null;
  window.ended = {};
  const look = () => {
    if (window.headedAt === null && document.querySelector('h1')) window.headedAt = performance.now();
    const map = document.querySelector('canvas[role=application]');
    if (window.drawnAt === null && map && map.width > 1)
      if (map.getContext('2d').getImageData(0, 0, 8, 8).data.some((part) => part > 0))
        window.drawnAt = performance.now();
    for (const row of document.querySelectorAll('table[aria-describedby], table')) {
      if (!row.caption || !row.caption.textContent.includes('ound')) continue;
      for (const line of row.tBodies[0]?.rows ?? []) {
        const number = parseInt(line.cells[0]?.textContent.replace(/\\D/g, '') ?? '', 10);
        if (number && !window.ended[number] && !line.textContent.includes('in progress'))
          window.ended[number] = Date.now() / 1000;
      }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()
"""


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    visits, devices, rounds = (2, 10_000, 4) if quick else (7, 10_000, 20)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        try:
            with_fleet = await _with_a_fleet(folder / "fleet", browser, visits, devices)
            with_rounds = await _with_rounds(folder / "rounds", browser, rounds)
        finally:
            await browser.close()
    return {**with_fleet, **with_rounds}


# ---- ten thousand devices ------------------------------------------------------------------------------------------


async def _with_a_fleet(folder: Path, browser: Browser, visits: int, devices: int) -> Mapping[str, Verdict]:
    hub = BenchHub(folder)
    async with hub.running():
        await _enrol(hub, devices)
        password = await hub.add_admin(ADMIN)
        url = hub.settings.hub.public_url
        async with _signed_in(browser, url, password) as (context, first_load):
            seen = await undisturbed(lambda: _visited(context, visits))
            longest, rows = await undisturbed(lambda: _scrolled(context))
            found = await _looked_at(context, PAGES)
    say(f"first load {first_load / 1000:.1f} kB; {seen}; {rows} devices scrolled by, longest task {longest:.0f} ms")
    return {
        "first_load_kB": at_most(150.0, first_load / 1000),
        "first_contentful_paint_s": at_most(1.0, _median(seen, "painted") / 1000),
        "interaction_ready_s": at_most(2.0, _median(seen, "ready") / 1000),
        "overview_10000_s": at_most(2.0, _median(seen, "drawn") / 1000),
        "map_drawn_within_s": at_most(1.0, _median(seen, "drawing") / 1000),
        "devices_scrolled": at_least(1_000, rows),
        "longest_task_while_scrolling_ms": at_most(100.0, longest),
        "axe_violations": at_most(0, len(found)),
    }


async def _enrol(hub: BenchHub, count: int) -> None:
    """One in twenty is ill, one in a hundred silent."""
    mongo, now = Mongo(hub.settings.mongo), time.time()
    try:
        store = DeviceStore(mongo.database)
        for first in range(0, count, 200):
            await asyncio.gather(*(store.add(_record(number, now)) for number in range(first, first + 200)))
    finally:
        mongo.close()


def _record(number: int, now: float) -> DeviceRecord:
    hot = Condition(
        code="temperature-high", title="The device is hot", severity=Severity.WARNING, text="84 °C", since=now
    )
    health = HealthReport(
        uptime=4e5,
        load=0.4,
        rss=29 * 2**20,
        disk_free=2**33,
        outbox_depth=number % 5,
        dropped=0,
        outbox_oldest=now - 5,
        conditions=[hot] if number % 20 == 0 else [],
    )
    serving = [ServingModel(model="digits", version=3 + number % 2, since=now, url="http://127.0.0.1:8082")]
    return DeviceRecord(
        id=DeviceId(f"dev-{number:012x}"),
        name=f"site-{number % 250:03}-box-{number:05}",
        public_key="",
        fingerprint=f"{number:064x}",
        enrolled_at=now - 1e6,
        agent_version="0.1.0",
        last_seen=now - 86_400 if number % 100 == 7 else now + 86_400,  # heard of for as long as this takes
        reported=ReportedState(generation=1, agent_version="0.1.0", training="idle", serving=serving),
        health=health,
        wire_version=WIRE_VERSION,
        site=f"site-{number % 250:03}",
        tags=["bench"],
    )


@asynccontextmanager
async def _signed_in(browser: Browser, url: str, password: str) -> AsyncGenerator[tuple[BrowserContext, int]]:
    """A profile, and the bytes of JavaScript, as they travelled, until its first page could be used."""
    context = await browser.new_context(base_url=url, viewport=WIDE, reduced_motion="reduce", locale="en-GB")
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    scripts: list[Any] = []
    page.on("requestfinished", lambda request: scripts.append(request) if ".js" in request.url else None)
    await page.goto("/")
    await page.get_by_label("User name").fill(ADMIN)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await page.locator("canvas[role=application]").wait_for()
    sizes = [await request.sizes() for request in list(scripts)]
    await page.close()
    yield context, sum(size["responseBodySize"] for size in sizes)
    await context.close()


async def _visited(context: BrowserContext, visits: int) -> list[dict[str, float]]:
    """Each with a browser's cache that is warm, as at most visits, and a page that is new."""
    seen: list[dict[str, float]] = []
    for _ in range(visits):
        page = await context.new_page()
        await page.add_init_script(_WATCH)
        await page.goto("/")
        await page.wait_for_function("() => window.drawnAt !== null")
        await page.wait_for_timeout(500)  # a long task after the drawing would keep people from using the page
        seen.append(
            await page.evaluate(
                """() => {
                  const last = window.longTasks.filter(({start}) => start <= window.drawnAt + 250).at(-1);
                  const fleet = performance.getEntriesByType('resource').find(({name}) => name.includes('/fleet'));
                  return {
                    painted: performance.getEntriesByName('first-contentful-paint')[0].startTime,
                    drawn: window.drawnAt,
                    ready: Math.max(window.headedAt, last ? last.start + last.took : 0),
                    drawing: window.drawnAt - fleet.responseEnd,
                  };
                }"""
            )
        )
        await page.close()
    return seen


async def _scrolled(context: BrowserContext) -> tuple[float, int]:
    """The longest task in milliseconds, and how many devices one has gone past."""
    page = await context.new_page()
    await page.add_init_script(_WATCH)
    await page.goto("/devices")
    await page.get_by_role("row").nth(20).wait_for()
    await page.mouse.move(700, 400)
    await page.evaluate("window.longTasks.length = 0")
    deadline = time.monotonic() + 60
    last = 0
    while last < 1_200 and time.monotonic() < deadline:
        await page.mouse.wheel(0, 900)
        await page.wait_for_timeout(30)
        last = int(await page.get_by_role("row").last.get_attribute("aria-rowindex") or 0)
    longest = await page.evaluate("Math.max(0, ...window.longTasks.map(({took}) => took))")
    await page.close()
    return float(longest), last


# ---- rounds --------------------------------------------------------------------------------------------------------


async def _with_rounds(folder: Path, browser: Browser, rounds: int) -> Mapping[str, Verdict]:
    """A run of real agents, watched: a round's end is known to the hub, and then it is on the screen."""
    folder.mkdir()
    federation = Federation(Layout(folder), Ports.free(devices=len(DEVICES)), DEVICES)
    async with federation.running(say):
        app = await asyncio.to_thread(federation.api.upload_app, build_fab(ROOT / "bench" / "app"))
        password = federation.layout.password.read_text().strip()
        async with _page_of(browser, federation.url, password) as page:
            config: dict[str, Value] = {"num-server-rounds": rounds, "devices": len(DEVICES)}
            run = await asyncio.to_thread(federation.api.start_run, RunRequest(fab_hash=app.fab_hash, config=config))
            await page.goto(f"/runs/{run.id}")
            await page.get_by_text("Finished", exact=True).first.wait_for(timeout=300_000)
            shown: dict[str, float] = await page.evaluate("window.ended")
            found = await _looked_at(page.context, [f"/runs/{run.id}", f"/devices/{await _any_device(federation)}"])
        detail = await asyncio.to_thread(federation.api.run, run.id)
    ends = {str(round.round): round.finished_at for round in detail.rounds if round.finished_at}
    late = sorted(shown[number] - at for number, at in ends.items() if number in shown)
    say(
        f"{len(late)} of {len(ends)} rounds seen to end, ms after the hub knew: {[round(1000 * each) for each in late]}"
    )
    return {
        "rounds_seen": at_least(rounds, len(late)),
        "round_on_screen_p95_ms": at_most(500.0, 1000 * late[int(0.95 * (len(late) - 1))] if late else 1e9),
        "axe_violations_run_and_device": at_most(0, len(found)),
    }


@asynccontextmanager
async def _page_of(browser: Browser, url: str, password: str) -> AsyncGenerator[Page]:
    async with _signed_in(browser, url, password) as (context, _):
        page = await context.new_page()
        await page.add_init_script(_WATCH)
        yield page
        await page.close()


async def _any_device(federation: Federation) -> str:
    return (await asyncio.to_thread(federation.api.devices))[0].id


# ---- every page ----------------------------------------------------------------------------------------------------


async def _looked_at(context: BrowserContext, paths: Sequence[str]) -> list[str]:
    """What is wrong with these pages for people who do not see, hear or move as most do."""
    found: list[str] = []
    page = await context.new_page()
    for path in paths:
        await page.goto(path)
        await page.get_by_role("heading", level=1).wait_for()
        await page.wait_for_function("() => !document.querySelector('.bg-raised.animate-pulse-soft')")
        for theme in ("light", "dark"):
            await page.emulate_media(color_scheme=theme)
            for size in (WIDE, NARROW):
                await page.set_viewport_size(size)
                await page.evaluate(axe_loaded())
                found += [
                    f"{path} {theme} {size['width']}: {each}" for each in violations(await page.evaluate(AXE_RUN))
                ]
        await page.set_viewport_size(WIDE)
    await page.close()
    for each in found:
        say(each)
    return found


def _median(seen: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median(each[name] for each in seen)
