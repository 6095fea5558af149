"""FLIP's ClientApp, told where this app is: on a device flip-agent does that, in a simulation nobody does.

Its functions stand here so that each of Ray's processes, on whatever machine, imports this module to call them.
"""

import os
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from flip_agent.federation import client_app as shipped

os.environ.setdefault("FLIP_APP_DIR", str(Path(__file__).parents[1]))

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    return shipped.train(message, context)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    return shipped.evaluate(message, context)
