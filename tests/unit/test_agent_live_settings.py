"""What a running agent takes over of a changed configuration."""

import logging
from pathlib import Path

import pytest

from flip_agent.live_settings import Changes, LiveSettings, changed_keys
from flip_agent.settings import (
    AgentSection,
    FederationSection,
    GovernorSection,
    InferenceSection,
    LogsSection,
    Settings,
)

BEFORE = Settings()


def test_only_what_a_running_agent_can_take_over_is_applied() -> None:
    after = Settings(
        agent=AgentSection(heartbeat=5.0, state=Path("/elsewhere")),
        inference=InferenceSection(port=9000, stale_after=60.0),
        federation=FederationSection(trusted_app_keys=[]),
        governor=GovernorSection(battery_min=50.0),
        logs=LogsSection(level="debug"),
    )
    changes = changed_keys(BEFORE, after)
    assert set(changes.applied) == {"agent.heartbeat", "inference.stale_after", "governor.battery_min", "logs.level"}
    assert set(changes.at_next_start) == {"inference.port", "federation.trusted_app_keys"}
    assert changes.needs_restart == ["agent.state"]


def test_an_unchanged_configuration_has_no_changed_keys() -> None:
    assert changed_keys(BEFORE, Settings()) == Changes(applied=[], at_next_start=[], needs_restart=[])


def test_what_waits_for_a_restart_is_named_at_each_reload(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = folder / "agent.toml"
    config.write_text("[inference]\nport = 9000\n[agent]\nheartbeat = 5\n[outbox]\nmax_bytes = 9000000\n")
    live = LiveSettings(BEFORE, config)
    with caplog.at_level(logging.INFO):
        live.reload()
        live.reload()
    assert live.heartbeat.value == live.now.agent.heartbeat == 5.0
    assert live.now.inference.port == 9000
    assert live.now.outbox == BEFORE.outbox
    told = [vars(record) for record in caplog.records if "read again" in record.message]
    assert [fields["applied"] for fields in told] == ["agent.heartbeat", "nothing"]
    assert [fields["at_next_start"] for fields in told] == ["inference.port", "nothing"]
    assert [fields["needs_restart"] for fields in told] == ["outbox.max_bytes"] * 2


def test_a_file_that_cannot_be_used_changes_nothing_and_is_told(folder: Path) -> None:
    config = folder / "agent.toml"
    config.write_text("[agent]\nheartbeat = 5\n[governor]\nbatery_min = 1\n")
    live = LiveSettings(BEFORE, config)
    live.reload()
    assert live.heartbeat.value == BEFORE.agent.heartbeat
    assert "batery_min" in live.refused.value


@pytest.mark.parametrize("content", [b'[logs]\nlevel = "loud"\n', b"[agent]\nheartbeat = 0\n", b"\xff\xfe\x00"])
def test_a_bad_value_or_a_file_that_is_no_text_changes_nothing_and_is_told(folder: Path, content: bytes) -> None:
    config = folder / "agent.toml"
    config.write_bytes(content)
    live = LiveSettings(BEFORE, config)
    live.reload()
    assert live.heartbeat.value == BEFORE.agent.heartbeat
    assert "agent.toml" in live.refused.value
