"""A run is started from the console, with all that a plan can say; what the hub refuses stands at its field."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from console_hub import ConsoleHub, console_hub
from playwright.async_api import Page, expect
from screen import photographed

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[ConsoleHub]:
    async with console_hub(folder, mongo_url) as hub:
        await hub.core.enrol("press-line-3")
        await hub.add_app()
        await hub.page.get_by_role("link", name="Start a run").click()
        await expect(hub.page.get_by_label("Strategy")).to_be_visible()
        yield hub


async def test_a_plan_of_many_parts_is_started_as_it_was_given(hub: ConsoleHub) -> None:
    page = hub.page
    await expect(page.get_by_label("App", exact=True)).to_contain_text("tiny 1.2.0")
    await photographed(page, "start-run")
    await page.get_by_label("Strategy").select_option("fedadam")
    await unfold(page, "Options of the strategy", "The app's configuration", "Devices", "Rounds", "Updates")
    await page.get_by_label("eta", exact=True).fill("0.05")
    await expect(page.get_by_label("eta", exact=True)).to_have_attribute("placeholder", "0.1 unless you say otherwise")
    await expect(page.get_by_text("Momentum parameter. Defaults to 0.9. (at least 0, less than 1)")).to_be_visible()
    await page.get_by_label("num-server-rounds").fill("5")
    await page.get_by_label("Tags").fill("lab, hall 2")
    await page.get_by_label("Not on battery").check()
    await page.get_by_label("Deadline").fill("90")
    await page.get_by_label("Quorum").fill("0.5")
    await page.get_by_label("Fold in late results").check()
    await page.get_by_label("Exponent").fill("1")
    await page.get_by_label("Updates travel as").select_option("topk")
    await page.get_by_label("Share of entries kept").fill("0.1")
    await page.get_by_label("Arrays that stay").fill("head.*")
    await photographed(page, "start-run-open")
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("tiny 1.2.0")
    (run,) = await hub.runs()
    assert run.config["num-server-rounds"] == 5
    plan = run.plan
    assert (plan.strategy, plan.options) == ("fedadam", {"eta": 0.05})
    assert (plan.filter.tags, plan.filter.on_mains) == (["lab", "hall 2"], True)
    assert (plan.rounds.deadline, plan.rounds.quorum, plan.rounds.wait) == (90, 0.5, 3600)
    assert plan.folding is not None
    assert plan.folding.exponent == 1
    assert (plan.update.codec, plan.update.share, plan.local) == ("topk", 0.1, ["head.*"])
    assert (plan.privacy, plan.secure, plan.start) == (None, None, None)


async def test_what_the_hub_refuses_stands_at_its_field_and_the_keyboard_is_there(hub: ConsoleHub) -> None:
    page = hub.page
    await page.get_by_label("Strategy").select_option("fedadam")
    await unfold(page, "Options of the strategy")
    await page.get_by_label("beta_1").fill("2")
    await page.get_by_role("button", name="Start").press("Enter")
    await refused(page, "beta_1", "plan.options.beta_1")
    await page.get_by_label("beta_1").fill("")

    await unfold(page, "The app's configuration")
    await page.get_by_label("num-server-rounds").fill("0")
    await page.get_by_role("button", name="Start").press("Enter")
    await refused(page, "num-server-rounds", "num-server-rounds is 0")
    await page.get_by_label("num-server-rounds").fill("")

    await unfold(page, "Secure aggregation")
    await page.locator("[id='plan.secure']").check()
    await page.get_by_label("Strategy").select_option("fedmedian")
    await page.get_by_role("button", name="Start").press("Enter")
    await refused(page, "Strategy", "fedmedian needs single updates")
    await photographed(page, "start-run-refused")
    await page.get_by_label("Strategy").select_option("")
    await page.get_by_label("Bits of a value").fill("half")
    await page.get_by_role("button", name="Start").press("Enter")
    await refused(page, "Bits of a value", "A whole number is needed.")
    assert await hub.runs() == []


async def test_the_price_of_privacy_is_shown_before_the_start_and_a_budget_of_0_is_refused(hub: ConsoleHub) -> None:
    page = hub.page
    await unfold(page, "Differential privacy")
    await page.get_by_label("Who clips updates").select_option("hub-fixed")
    await page.get_by_role("button", name="Check").click()
    await refused(page, "Budget, epsilon", "This is needed.")
    for label, value in (
        ("Budget, epsilon", "0"),
        ("Delta", "1e-5"),
        ("Noise multiplier", "1"),
        ("Clipping norm", "1"),
    ):
        await page.get_by_label(label, exact=True).fill(value)
    await page.get_by_role("button", name="Check").click()
    await refused(page, "Budget, epsilon", "> 0")
    await page.get_by_label("Budget, epsilon").fill("1")
    await page.get_by_role("button", name="Check").click()
    await refused(page, "Budget, epsilon", "3 rounds cost epsilon")
    await page.get_by_label("Budget, epsilon").fill("20")
    await page.get_by_role("button", name="Check").click()
    await expect(page.get_by_role("status").filter(has_text="would start")).to_contain_text("of a budget of 20")
    await photographed(page, "start-run-price")
    assert await hub.runs() == []
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("tiny 1.2.0")
    await expect(page.get_by_text("Privacy: clipped and noised on the hub")).to_be_visible()


async def unfold(page: Page, *titles: str) -> None:
    for title in titles:
        await page.locator("summary").filter(has_text=title).press("Enter")


async def refused(page: Page, label: str, why: str) -> None:
    """The field says so, and the next key goes there."""
    field = page.get_by_label(label)
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description(re.compile(re.escape(why)))
    await expect(field).to_be_focused()
