"""What a hub remembers of devices' records: the newest of what people made of them and of what they told."""

from msgspec.structs import replace

from flip_hub.devices.known_records import KnownRecords
from flip_hub.devices.record import DeviceRecord, Intake
from flip_wire.fleet import DeviceId

READ = DeviceRecord(
    id=DeviceId("dev-1"), name="one", public_key="", fingerprint="f", enrolled_at=0.0, agent_version="0"
)


def _at(revision: int, **changed: object) -> DeviceRecord:
    return replace(READ, intake=Intake(revision=revision, accepted=revision), last_seen=float(revision), **changed)


def test_a_reading_from_before_a_heartbeat_does_not_undo_it() -> None:
    known = KnownRecords(lambda: True)
    known.put(_at(2))
    known.put(_at(1, note="read before, answered later"))
    found = known.get(READ.id)
    assert found is not None
    assert (found.intake.accepted, found.last_seen, found.note) == (2, 2.0, "read before, answered later")


def test_a_heartbeat_that_was_counted_from_an_older_reading_does_not_undo_what_people_did() -> None:
    known = KnownRecords(lambda: True)
    known.put(_at(1, revoked_at=5.0))
    known.put(_at(2))
    found = known.of_any_age([READ.id])[READ.id]
    assert (found.intake.accepted, found.revoked) == (2, True)


def test_nothing_is_known_while_nobody_watches_but_for_who_compares() -> None:
    watched = True
    known = KnownRecords(lambda: watched)
    known.put(READ)
    assert known.get(READ.id) == READ
    watched = False
    assert known.get(READ.id) is None
    assert known.of_any_age([READ.id, DeviceId("dev-2")]) == {READ.id: READ}
    known.forget(READ.id)
    assert known.of_any_age([READ.id]) == {}
