"""What local inference takes, as told to the governor."""

from flip_agent.inference.latency import Latencies


def test_the_slowest_hundredth_of_the_requests_since_the_last_look_is_told() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 201):
        latencies.note(milliseconds / 1000)
    assert latencies.take() == (0.198, 200)
    assert latencies.take() is None


def test_a_few_requests_tell_nothing() -> None:
    latencies = Latencies()
    for _ in range(19):
        latencies.note(5.0)
    assert latencies.take() is None
    latencies.note(0.01)
    assert latencies.take() == (5.0, 20)
