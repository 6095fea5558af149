"""What devices sign of their contributions, in a whole run: one device is honest, the others forge."""

import asyncio
import shutil
from pathlib import Path

import pytest
from session_lab import APPS, Device, Hub, rounds, training

from flip_agent.receipts import ReceiptFile, render
from flip_hub.receipts.file import lines_of, read_lines, verify, write_lines
from flip_wire.contributions import Fate

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORGES = '''

_said: list[Any] = []


def _forge(how: Any) -> None:
    """From now on this device's replies are not what it has signed, or are signed with what it said before."""
    import msgspec
    from flip_agent.federation.mods.chain import Accounted

    if how is None or _said:
        return
    account = Accounted._account
    _said.append(None)

    def forged(self: Any, content: Any, base: Any) -> Any:
        said = account(self, content, base)
        _said.append(said)
        if how == "tamper":
            content["metrics"]["num-examples"] = 1000
        if how == "unsigned":
            return msgspec.structs.replace(said, signed=None)
        return msgspec.structs.replace(said, signed=_said[1].signed) if how == "replay" else said

    Accounted._account = forged
'''
_TRAINS = "def train(message: Message, context: Context) -> Message:\n"


def forging_app(folder: Path) -> Path:
    """As `counting`, and devices forge as their `node_config` says."""
    app = shutil.copytree(APPS / "counting", folder / "app")
    source = app / "counting" / "app.py"
    text = source.read_text()
    source.write_text(text.replace(_TRAINS, _TRAINS + '    _forge(context.node_config.get("forges"))\n') + FORGES)
    return app


async def test_what_is_not_signed_as_it_was_sent_is_refused_for_that_device_and_the_round_goes_on(
    hub: Hub, folder: Path
) -> None:
    how = {"a": {}, "b": {"forges": "tamper"}, "c": {"forges": "replay"}, "d": {"forges": "unsigned"}}
    devices = [
        await Device.enrolled(hub, folder / name, idle_exit=1.0, node_config=config) for name, config in how.items()
    ]
    run_id = await hub.submit(forging_app(folder), devices=4, out=str(folder / "out"))
    async with training(*devices) as runs:
        detail = await hub.finished(run_id)
        assert detail.run.status == "finished", detail.run.reason
        for run in runs:
            await run.announce()
        assert [await device.ended() for device in devices] == [0] * 4
    assert [(each["replies"], each["mean"]) for each in rounds(folder / "out")] == [(4, 1.0), (4, 2.0)]

    entries = await asyncio.to_thread(hub.api.receipts, run_id)
    seal = await asyncio.to_thread(hub.api.receipts_seal, run_id)
    verdict = verify(lines_of(entries, seal))
    assert (verdict.broken, verdict.final, verdict.entries) == (None, True, 8)
    names = {device.id: device.name for device in await asyncio.to_thread(hub.api.devices)}
    fates = {(names[each.device_id], each.round): (each.fate, each.weight, each.reason) for each in entries}
    tampered = "its content is not what its device has signed"
    replayed = "a replayed receipt: what is signed was given before, for another instruction"
    unsigned = "it is not signed by its device"
    assert fates == {
        ("a", 1): (Fate.ACCEPTED, 0.5, ""),
        ("b", 1): (Fate.REFUSED, None, tampered),
        ("c", 1): (Fate.ACCEPTED, 0.5, ""),
        ("d", 1): (Fate.REFUSED, None, unsigned),
        ("a", 2): (Fate.ACCEPTED, 1.0, ""),
        ("b", 2): (Fate.REFUSED, None, tampered),
        ("c", 2): (Fate.REFUSED, None, replayed),
        ("d", 2): (Fate.REFUSED, None, unsigned),
    }
    signed = {each.device_id: each.signed for each in entries if each.round == 1}
    assert [signed[key] is not None for key in sorted(signed, key=lambda key: names[key])] == [True, True, True, False]

    file = folder / "receipts"
    write_lines(file, lines_of(entries, seal))
    assert verify(read_lines(file)).broken is None
    file.write_bytes(file.read_bytes().replace(b'"weight":0.5', b'"weight":0.6', 1))
    broken = verify(read_lines(file)).broken
    assert broken is not None
    assert "was altered" in broken.what

    heard = {name: run.receipts for name, run in zip(how, runs, strict=True)}
    told = {(name, each.round): each for name, receipts in heard.items() for each in receipts.values()}
    assert {place: (each.fate, each.reason) for place, each in told.items()} == {
        place: (fate, reason) for place, (fate, _, reason) in fates.items()
    }
    chained = {entry.message_id: (entry.seq, entry.hash) for entry in entries}
    assert all((each.entry, each.hash) in {(0, ""), chained[each.message_id]} for each in told.values())
    kept = ReceiptFile(folder)
    kept.heard(heard["c"].values())
    assert ReceiptFile(folder).newest() == kept.newest()
    assert "a replayed receipt" in render(kept.newest())
