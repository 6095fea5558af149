"""A worker of the lab: as an agent's, for any of its devices in turn; seeded before each call, and lying where it must.

python -m flip_lab.worker_process DESCRIPTOR APP_FOLDER MODULE:ATTRIBUTE
"""

import random
import sys
from pathlib import Path

import msgspec
import numpy as np
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable
from msgspec import Struct

from flip_agent.federation.worker_process import main
from flip_lab.faults import Lies
from flip_lab.lies import lie

ROLE = "flip-lab"
"""Key in `node_config`, which no app sees."""


class Role(Struct, frozen=True, kw_only=True):
    """What a device plays in one call."""

    seed: int
    """Of 32 bits."""
    lies: Lies | None


def played(app: ClientApp) -> ClientAppCallable:
    def play(message: Message, context: Context) -> Message:
        role = msgspec.json.decode(str(context.node_config.pop(ROLE)), type=Role)
        _seed(role.seed)
        if role.lies is None:
            return app(message, context)
        arrays = {name: ArrayRecord(dict(record)) for name, record in message.content.array_records.items()}
        sent = RecordDict({**message.content, **arrays})
        reply = app(message, context)  # which may change what it was given
        if reply.has_content():
            lie(role.lies, sent, reply.content)
        return reply

    return play


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], played)
