"""A day of a device's health, with two hours in which nothing was heard of it."""

import math

import fleet

from flip_hub.vitals.schemas import HealthPoint

STEP = 300.0


def vitals() -> list[HealthPoint]:
    first = math.floor((fleet.NOW - 24 * fleet.HOUR) / STEP)
    last = math.floor(fleet.NOW / STEP)
    silent = range(last - 60, last - 36)
    return [_point(number, last) for number in range(first, last) if number not in silent]


def _point(number: int, last: int) -> HealthPoint:
    day = 2 * math.pi * number * STEP / (24 * fleet.HOUR)
    behind = max(0.0, 18_000.0 - 500.0 * (number - (last - 36))) if number >= last - 36 else 3.0
    return HealthPoint(
        at=number * STEP,
        samples=10,
        uptime=1000.0,
        rss=28.5 * 2**20 + 2**20 * math.sin(3 * day),
        load=0.6 + 0.4 * math.sin(day),
        load_max=1.1 + 0.6 * math.sin(day + 0.4) ** 2,
        disk_free=(6.0 - 0.01 * (number % 288)) * 2**30,
        outbox_depth=behind,
        dropped=0.0,
        clock_offset=-0.3,
        temperature=62 + 14 * math.sin(day),
        temperature_max=66 + 16 * math.sin(day),
        memory_available=(410 + 60 * math.cos(day)) * 2**20,
        conditions=[],
    )
