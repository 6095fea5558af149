"""The day's budget of the running agent, and its thrift."""

from pathlib import Path

from flip_agent.hub.link import HubLink
from flip_agent.live_settings import LiveSettings
from flip_agent.network.day_account import FILE, DayAccount
from flip_agent.network.day_budget import DayBudget, Limits
from flip_agent.network.thrift import Thrift


def day_budget(state: Path, live: LiveSettings, link: HubLink) -> DayBudget:
    def limits() -> Limits:
        return Limits(total=live.now.network.daily_bytes, models=live.now.models.download_budget)

    return DayBudget(DayAccount(state / FILE, lambda: link.hub_time), limits)


def thrift(budget: DayBudget, live: LiveSettings, link: HubLink) -> Thrift:
    return Thrift(budget, live.heartbeat, lambda: link.hub_time)
