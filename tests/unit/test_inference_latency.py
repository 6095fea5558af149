"""What local inference takes, as told to the governor."""

from flip_agent.inference.metrics.latency import Latencies
from flip_agent.inference.problems import Expired


def took(latencies: Latencies, seconds: float) -> None:
    """A request that was given up after so long."""
    latencies.refused("digits", None, Expired("it waited until its deadline"), seconds)


def test_the_slowest_hundredth_of_the_requests_since_the_last_look_is_told() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 201):
        took(latencies, milliseconds / 1000)
    assert latencies.take() == (0.198, 200)
    assert latencies.take() is None


def test_a_few_requests_tell_nothing() -> None:
    latencies = Latencies()
    for _ in range(19):
        took(latencies, 5.0)
    assert latencies.take() is None
    took(latencies, 0.01)
    assert latencies.take() == (5.0, 20)
