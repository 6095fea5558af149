"""The name of a prediction, by which feedback is given to it later."""

import random
import time


def prediction_id() -> str:
    """Later ones sort behind earlier ones, so that an index on a disk grows at its end."""
    return f"{time.time_ns() // 1_000_000:012x}{random.getrandbits(64):016x}"
