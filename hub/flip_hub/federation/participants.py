"""What a ServerApp is told of its run and of the nodes that may take part, by the plan's device filter."""

from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.service import DeviceService
from flip_hub.federation.brief import Brief, NodeFacts
from flip_hub.federation.plan import DeviceFilter, Plan
from flip_hub.federation.privacy.on_devices import UNABLE, on_devices
from flip_hub.federation.run_book import RunBook
from flip_hub.federation.schemas import Run
from flip_hub.problem import NotFound

TERMS_SINCE = 4
"""The version of the wire from which on agents understand terms."""


class Participants:
    def __init__(self, book: RunBook, devices: DeviceService) -> None:
        self._book = book
        self._devices = devices

    async def brief(self, flower_run_id: str) -> Brief:
        """Raises `NotFound`."""
        run = await self._run(flower_run_id)
        releases = [] if run.privacy is None else run.privacy.releases
        return Brief(run_id=run.id, plan=run.plan, seed=run.seed, weights=run.weights, releases=releases)

    async def nodes(self, flower_run_id: str) -> list[NodeFacts]:
        """Of all devices that are nodes of Flower's. Raises `NotFound`."""
        plan = (await self._run(flower_run_id)).plan
        records = await self._devices.records()
        return [_facts(record, record.node_id, plan) for record in records if record.node_id is not None]

    async def _run(self, flower_run_id: str) -> Run:
        run = await self._book.store.run_of_flower(flower_run_id)
        if run is None:
            raise NotFound(f"no run with Flower's number {flower_run_id[:40]!r}")
        return run


def _facts(record: DeviceRecord, node: str, plan: Plan) -> NodeFacts:
    agent = record.wire_version >= TERMS_SINCE
    forms = [] if record.reported is None else record.reported.forms
    why = barred(record, plan.devices) or ("" if agent or on_devices(plan.privacy) is None else UNABLE)
    return NodeFacts(node=node, device_id=record.id, agent=agent, forms=forms, barred=why)


def barred(record: DeviceRecord, asked: DeviceFilter) -> str:
    """Why a plan leaves the device out, in words for people; empty when it takes part."""
    if record.revoked:
        return "it is revoked"
    if asked.tags and not set(asked.tags) & set(record.tags):
        return f"it has none of the tags {', '.join(asked.tags)}"
    if asked.sites and record.site not in asked.sites:
        return f"its site is {record.site or 'not known'}"
    return ""
