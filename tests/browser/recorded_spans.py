"""Where the time of the running run's first two rounds went on the devices of the fleet."""

from fleet import NOW, RUNNING, device_id

from flip_hub.telemetry.schemas import MessageSpans
from flip_wire.spans import Span, span_id, trace_of_message


def spans() -> list[MessageSpans]:
    """The one that ended last first."""
    return [
        message(0, 2, {"receive": 0.6, "train": 14.2, "deliver": 0.9, "settle": 1.3}),
        message(1, 2, {"receive": 0.8, "train": 16.9, "deliver": 3.4, "settle": 0.4}),
        message(2, 2, {"receive": 0.5, "wait": 41.0, "train": 22.5, "deliver": 1.1}, interrupted="train", paused=9.5),
        message(3, 2, {"receive": 2.4, "train": 18.0, "deliver": 66.0, "settle": 4.0}, fate="late"),
        message(0, 1, {"receive": 1.1, "train": 15.2, "deliver": 1.0, "settle": 1.2}),
        message(
            1,
            1,
            {"receive": 1.3, "train": 3.1, "deliver": 0.2, "settle": 0.4},
            error="the ClientApp ran out of memory",
        ),
    ]


def message(
    device: int,
    round: int,
    seconds: dict[str, float],
    *,
    fate: str = "delivered",
    interrupted: str = "",
    paused: float = 0.0,
    error: str = "",
) -> MessageSpans:
    """One after the other, under their root."""
    message_id = f"{device}-{round}"
    trace = trace_of_message(RUNNING, message_id)
    root = span_id(trace, "message")
    told = [
        Span(
            trace_id=trace,
            span_id=root,
            name="message",
            start=NOW - 60,
            duration=sum(seconds.values()),
            error=error,
            attributes={"fate": fate},
        )
    ]
    start = NOW - 60.0
    for name, duration in seconds.items():
        attributes = {"interrupted": "true"} if name == interrupted else {}
        if paused and name == "train":
            attributes["paused"] = str(paused)
        own = span_id(trace, name)
        told.append(
            Span(
                trace_id=trace,
                span_id=own,
                parent_id=root,
                name=name,
                start=start,
                duration=duration,
                error=error if name == "train" else "",
                attributes=attributes,
            )
        )
        start += duration
    return MessageSpans(device_id=device_id(device), message_id=message_id, round=round, phase="train", spans=told)
