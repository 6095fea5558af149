"""A real OpenID Connect provider for one test: the npm package `oidc-provider` in a process of its own."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx

from flip_demo.ports import free_port
from flip_hub.auth.oidc_routes import CALLBACK
from flip_runtime.child import Child, port_open

FOLDER = Path(__file__).parent / "oidc"


@asynccontextmanager
async def running_provider(folder: Path, redirect_uri: str) -> AsyncGenerator[str]:
    """Its issuer."""
    where = folder / "provider"
    await asyncio.to_thread(_install, where)
    port = free_port()
    node = shutil.which("node") or "node"
    child = Child("provider", [node, str(where / "provider.mjs"), str(port), redirect_uri], log_file=folder / "log")
    await child.start()
    try:
        await child.wait_until(lambda: port_open(port), within=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        await child.stop()


async def log_in_there(browser: httpx.AsyncClient, address: str, name: str) -> httpx.Response:
    """As somebody does in a browser: types a name, consents, and is sent back; gives the hub's answer to that."""
    page = await _followed(browser, await browser.get(address))
    for _ in range(3):  # who it is, then what the hub may know; neither, where the browser is known there
        if _is_back(page):
            return page
        form = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', page.text))
        action = re.search(r'action="([^"]+)"', page.text)
        assert action is not None, page.text
        form |= {"login": name, "password": "any"} if form["prompt"] == "login" else {}
        sent = await browser.post(urljoin(str(page.url), action[1]), data=form)
        page = await _followed(browser, sent)
    raise AssertionError(f"{name} was not sent back: {page.text}")


async def _followed(browser: httpx.AsyncClient, answer: httpx.Response) -> httpx.Response:
    """Redirects up to the one that leads back to the hub, whose answer is as it came."""
    for _ in range(10):
        if answer.next_request is None or _is_back(answer):
            return answer
        answer = await browser.send(answer.next_request)
    raise AssertionError(f"redirected without end: {answer.url}")


def _is_back(answer: httpx.Response) -> bool:
    return answer.request.url.path == CALLBACK


def _install(where: Path) -> None:
    where.mkdir()
    for name in ("package.json", "package-lock.json", "provider.mjs", ".npmrc"):
        shutil.copy(FOLDER / name, where / name)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"]
    subprocess.run(command, cwd=where, check=True, capture_output=True, timeout=300)
