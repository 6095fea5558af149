"""The devices send back what they were given; the ServerApp notes when it had aggregated a round.

Where it is asked to it notes the memory of its process, too: when it holds its model, and the most from then on.
"""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()


@client.train()
def train(message: Message, _: Context) -> Message:
    content = RecordDict({"arrays": message.content["arrays"], "metrics": MetricRecord({"num-examples": 1})})
    return Message(content, reply_to=message)


class Timed(FedAvg):
    def __init__(self, out: str, devices: int) -> None:
        super().__init__(fraction_evaluate=0.0, min_train_nodes=devices, min_available_nodes=devices)
        self._out = out
        self._devices = devices

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        answers = list(replies)
        assert len(answers) == self._devices, f"{len(answers)} of {self._devices} devices answered"
        assert not any(answer.has_error() for answer in answers), [a.error for a in answers if a.has_error()]
        result = super().aggregate_train(server_round, answers)
        with open(self._out, "a") as out:
            out.write(f"{time.monotonic()}\n")
        return result


@server.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    strategy = Timed(str(config["out"]), int(config["devices"]))
    size, seed = int(config["size"]), int(config["seed"])
    model = ArrayRecord([np.random.default_rng(seed).random(size, np.float32) if seed else np.zeros(size, np.float32)])
    memory, idle = str(config["memory"]), 0
    if memory:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        idle = _status("VmRSS")
    strategy.start(grid, model, num_rounds=int(config["num-server-rounds"]))
    if memory:
        Path(memory).write_text(f"{idle} {_status('VmHWM')}")


def _status(name: str) -> int:
    """Bytes, as /proc/self/status says (proc_pid_status(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
