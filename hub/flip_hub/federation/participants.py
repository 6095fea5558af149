"""What a ServerApp is told of its run and of the nodes that may take part, by the plan's device filter."""

from collections.abc import Mapping

from flip_hub.contributions.receipts import Receipts
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.schemas import SUPERNODE
from flip_hub.devices.service import DeviceService
from flip_hub.federation.brief import Brief, NodeFacts
from flip_hub.federation.plan import DeviceFilter, Plan
from flip_hub.federation.run_book import RunBook
from flip_hub.federation.schemas import Candidate, Candidates, Run
from flip_hub.federation.secure.rules import strangers
from flip_hub.problem import NotFound
from flip_wire.fleet import DeviceId

_RUNS = 10
"""Of an app, that are looked at for what its devices last trained on."""
_NAMED = 200
TERMS_SINCE = 4
"""The version of the wire from which on agents understand terms, and sign what they contribute."""


class Participants:
    def __init__(self, book: RunBook, devices: DeviceService, receipts: Receipts) -> None:
        self._book = book
        self._devices = devices
        self._receipts = receipts

    async def brief(self, flower_run_id: str) -> Brief:
        """Raises `NotFound`."""
        run = await self._run(flower_run_id)
        releases = [] if run.privacy is None else run.privacy.releases
        return Brief(
            run_id=run.id,
            plan=run.plan,
            seed=run.seed,
            weights=run.weights,
            goes_on=bool(run.earlier),
            releases=releases,
        )

    async def nodes(self, flower_run_id: str) -> list[NodeFacts]:
        """Of all devices that are nodes of Flower's. Raises `NotFound`."""
        run = await self._run(flower_run_id)
        records = await self._devices.records()
        examples = await self._examples(run.app, run.plan.filter)
        return [_facts(record, record.node_id, run.plan, examples) for record in records if record.node_id is not None]

    async def candidates(self, asked: DeviceFilter, app: str) -> Candidates:
        """`app`: NAME VERSION, of which `least_samples` speaks; may be empty."""
        examples = await self._examples(app, asked)
        able, absent, barred_ones = 0, list[Candidate](), list[Candidate]()
        for record in await self._devices.records():
            if record.revoked:
                continue
            why, absence = barred(record, asked, examples), self._devices.absence(record)
            other = Candidate(device_id=record.id, name=record.name, barred=why, absence=absence)
            if why:
                barred_ones.append(other)
            elif absence is not None:
                absent.append(other)
            else:
                able += 1
        others = [*absent, *barred_ones][:_NAMED]
        return Candidates(able=able, absent=len(absent), barred=len(barred_ones), others=others)

    async def _examples(self, app: str, asked: DeviceFilter) -> Mapping[DeviceId, float]:
        """On how many each device's last update of this app stood, in the latest runs; none where nobody asks."""
        if not asked.least_samples:
            return {}
        return await self._receipts.examples(await self._book.store.numbers_of_app(app, _RUNS))

    async def _run(self, flower_run_id: str) -> Run:
        run = await self._book.store.run_of_flower(flower_run_id)
        if run is None:
            raise NotFound(f"no run with Flower's number {flower_run_id[:40]!r}")
        return run


def _facts(record: DeviceRecord, node: str, plan: Plan, examples: Mapping[DeviceId, float]) -> NodeFacts:
    agent = record.wire_version >= TERMS_SINCE and record.agent_version != SUPERNODE
    forms = [] if record.reported is None else record.reported.forms
    why = barred(record, plan.filter, examples) or ("" if agent else strangers(plan))
    key = record.public_key if agent else ""
    return NodeFacts(node=node, device_id=record.id, agent=agent, forms=forms, key=key, barred=why)


def barred(record: DeviceRecord, asked: DeviceFilter, examples: Mapping[DeviceId, float]) -> str:
    """Why a plan leaves the device out, in words for people; empty when it takes part."""
    told, known = record.reported, examples.get(record.id)
    if why := placed(record, asked):
        return why
    if asked.on_mains and (told is None or told.on_battery):
        return "it is on battery" if told is not None else "it has not said how it is powered"
    if asked.unmetered and (told is None or told.metered):
        return "its link is metered" if told is not None else "it has not said what its link is"
    if known is not None and known < asked.least_samples:
        return f"its last update stood on {known:g} examples"
    return ""


def placed(record: DeviceRecord, asked: DeviceFilter) -> str:
    """As `barred`, by what people say of the device alone."""
    if record.revoked:
        return "it is revoked"
    if asked.tags and not set(asked.tags) & set(record.tags):
        return f"it has none of the tags {', '.join(asked.tags)}"
    if asked.sites and record.site not in asked.sites:
        return f"its site is {record.site or 'not known'}"
    return ""
