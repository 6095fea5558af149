"""What a running agent takes over of a changed configuration."""

import logging
from pathlib import Path

import pytest

from flip_agent.live_settings import LiveSettings, changed_keys
from flip_agent.settings import AgentSection, GovernorSection, InferenceSection, LogsSection, Settings

BEFORE = Settings()


def test_only_what_a_running_agent_can_take_over_is_applied() -> None:
    after = Settings(
        agent=AgentSection(heartbeat=5.0, state=Path("/elsewhere")),
        inference=InferenceSection(port=9000),
        governor=GovernorSection(battery_min=50.0),
        logs=LogsSection(level="debug"),
    )
    live, waiting = changed_keys(BEFORE, after)
    assert set(live) == {"agent.heartbeat", "governor.battery_min", "logs.level"}
    assert set(waiting) == {"agent.state", "inference.port"}


def test_an_unchanged_configuration_has_no_changed_keys() -> None:
    assert changed_keys(BEFORE, Settings()) == ([], [])


def test_what_waits_for_a_restart_is_named_at_each_reload(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = folder / "agent.toml"
    config.write_text("[inference]\nport = 9000\n[agent]\nheartbeat = 5\n")
    live = LiveSettings(BEFORE, config)
    with caplog.at_level(logging.INFO):
        live.reload()
        live.reload()
    assert live.heartbeat.value == 5.0
    told = [vars(record) for record in caplog.records if "read again" in record.message]
    assert [fields["applied"] for fields in told] == ["agent.heartbeat", "nothing"]
    assert [fields["needs_restart"] for fields in told] == ["inference.port"] * 2


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
