"""What the kernel tells, from folders that look like its own."""

from pathlib import Path

from flip_agent.health.hardware import Battery, Hardware


def write(root: Path, files: dict[str, str]) -> Hardware:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return Hardware(root)


def test_the_hottest_sensor_counts_and_one_that_is_not_connected_does_not(folder: Path) -> None:
    zones = {"0": "41000", "1": "63500", "2": "-273000", "3": "n/a"}
    hardware = write(folder, {f"sys/class/thermal/thermal_zone{zone}/temp": text for zone, text in zones.items()})
    assert hardware.temperature() == 63.5


def test_the_emptiest_battery_counts_and_a_mouses_does_not(folder: Path) -> None:
    supplies = {
        "AC": {"type": "Mains", "online": "0"},
        "BAT0": {"type": "Battery", "capacity": "80", "status": "Discharging"},
        "BAT1": {"type": "Battery", "capacity": "20", "status": "Discharging"},
        "mouse": {"type": "Battery", "capacity": "3", "status": "Discharging", "scope": "Device"},
    }
    files = {
        f"sys/class/power_supply/{supply}/{name}": text
        for supply, values in supplies.items()
        for name, text in values.items()
    }
    assert write(folder, files).battery() == Battery(percent=20.0, discharging=True)


def test_the_default_route_of_the_lowest_metric_names_the_interface(folder: Path) -> None:
    hardware = write(
        folder,
        {
            "proc/net/route": "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
            "wwan0 00000000 0100000A 0003 0 0 700 00000000 0 0 0\n"
            "eth0 00000000 0102000A 0003 0 0 100 00000000 0 0 0\n"
            "eth1 00000000 0102000A 0002 0 0 10 00000000 0 0 0\n"
            "eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0"
        },
    )
    assert hardware.default_interface() == "eth0"


def test_memory_and_load_are_read_as_bytes_and_processes(folder: Path) -> None:
    hardware = write(
        folder,
        {
            "proc/meminfo": "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 250 kB",
            "proc/loadavg": "1.50 0.70 0.30 2/300 4242",
        },
    )
    assert hardware.memory() == (250 * 1024, 1000 * 1024)
    assert hardware.load() == 1.5


def test_a_machine_that_tells_nothing_has_no_readings(folder: Path) -> None:
    hardware = Hardware(folder)
    readings = (hardware.temperature(), hardware.battery(), hardware.load(), hardware.memory())
    assert readings == (None, None, None, None)
    assert hardware.default_interface() == ""
