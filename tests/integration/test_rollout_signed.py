"""Only what a key has signed that the device trusts is downloaded; the rest is refused with the way out."""

from pathlib import Path

import pytest
from agent_rig import eventually
from fake_hub import FakeHub, started
from msgspec.structs import replace
from rollout_rig import enrolled

from flip_agent.hub.client import HubClient
from flip_agent.identity import load_identity, save_identity
from flip_agent.models.signature import Question, judge
from flip_hub.apps.signatures import load_private_key, make_private_key
from flip_hub.models.signing import ModelSigner
from flip_wire.models import ModelAssignment, Sha256

STRANGER = ModelSigner(load_private_key(make_private_key()))
WAY_OUT = "flip-agent enrol URL --token T --again"


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.mark.asyncio
@pytest.mark.parametrize("unsigned", [True, False])
async def test_nothing_of_an_unsigned_or_wrongly_signed_version_is_downloaded(
    folder: Path, hub: FakeHub, unsigned: bool
) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    (key,) = hub.signer.keys
    forged = replace(second, signatures={} if unsigned else {key: first.signatures[key]})
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
            downloads = len(hub.ranges)
            device.want(forged)
            await eventually(lambda: device.failures() != [])
            (reason,) = device.failures()
            assert "nobody has signed" in reason if unsigned else f"{key} is not one over this version" in reason
            assert unsigned or WAY_OUT in reason
            assert (device.served(), len(hub.ranges)) == ([1], downloads)
            assert device.refused.kept.value == {}, "else whoever cannot sign could have a good version refused"
            device.want(second)
            await eventually(lambda: device.served() == [2])


@pytest.mark.asyncio
async def test_a_device_that_was_enrolled_before_there_were_keys_is_told_to_enrol_again(
    folder: Path, hub: FakeHub
) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
        identity = load_identity(folder / "state")
        assert identity is not None
        save_identity(folder / "state", replace(identity, model_keys={}))
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])  # what it has had in service goes on
            device.want(second)
            await eventually(lambda: device.failures() != [])
            assert device.failures() == [f"this device knows no key that signs model versions ({WAY_OUT})"]


@pytest.mark.asyncio
async def test_keys_that_the_operator_names_stand_in_place_of_the_hub_s(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1)
    own = replace(first, signatures=STRANGER.sign(first))
    with started(hub):
        async with enrolled(folder, hub, trusted=list(STRANGER.keys.values())) as device:
            device.want(first)
            await eventually(lambda: any("models.trusted_keys" in reason for reason in device.failures()))
            device.want(own)
            await eventually(lambda: device.served() == [1])


@pytest.mark.asyncio
async def test_a_download_that_is_cut_is_not_verified_again_for_each_attempt(
    folder: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, cuts, download = hub.add_version(1), 0, HubClient.download

    async def cut(self: HubClient, sha256: Sha256, *others: object) -> None:
        nonlocal cuts
        hub.cut_after, cuts = (10 if cuts < 3 else None), cuts + 1
        await download(self, sha256, *others)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(HubClient, "download", cut)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: len(device.spans) == 1)
    attempts = {span.name: span.attributes.get("attempts") for span in device.spans[0].spans}
    assert (attempts["verify"], attempts["fetch"]) == ("1", "4")


def verdict_on(assignment: ModelAssignment, **signed: str) -> str:
    keys = {"key-known": next(iter(STRANGER.keys.values())), "key-broken": "no key at all"}
    return judge(Question(assignment=replace(assignment, signatures=signed), learned=keys, named=None)).reason


def test_a_signature_is_over_model_number_size_and_content() -> None:
    bare = ModelAssignment(model="digits", version=1, manifest=Sha256("a" * 64), size=10)
    (signature,) = STRANGER.sign(bare).values()
    assert verdict_on(bare, **{"key-known": signature}) == ""
    for other in ({"model": "faces"}, {"version": 2}, {"size": 11}, {"manifest": Sha256("b" * 64)}):
        assert verdict_on(replace(bare, **other), **{"key-known": signature})
    for damaged in ("", "!", "A" * 88, signature[:-4], signature + "\n"):
        assert "is not one over this version" in verdict_on(bare, **{"key-known": damaged})
    assert "is not one over" in verdict_on(bare, **{"key-broken": signature})
    assert "does not trust" in verdict_on(bare, **{"key-other": signature})
