"""A run that goes on with another ServerApp asks again in the same words: what lies here finished is the answer."""

from asyncio import to_thread

from flip_agent.federation.fleet_client import FleetClient
from flip_agent.federation.flower import Instruction, error_of
from flip_agent.federation.instruction_terms import answered_again, content_of
from flip_agent.federation.room import when_there_is_room
from flip_agent.federation.session_store import Message, SessionStore
from flip_wire.telemetry import SessionEvent


class FinishedReplies:
    def __init__(self, store: SessionStore, fleet: FleetClient) -> None:
        self._store = store
        self._fleet = fleet

    async def answer(self, instruction: Instruction) -> bool:
        """Whether one answers it, too; it then lies ready under this instruction, and the earlier one is forgotten."""
        earlier = await to_thread(self._same, instruction)
        if earlier is None or earlier.reply is None:
            return False
        await to_thread(self._fleet.confirm, instruction)
        head, root = answered_again(earlier.reply, instruction, earlier.seconds)
        event = SessionEvent(
            run_id=instruction.run_id,
            message_id=instruction.message_id,
            step="trained",
            detail="before the run went on",
            seconds=earlier.seconds,
        )
        message_id = instruction.message_id
        await when_there_is_room("a reply", lambda: self._store.hand_on(earlier, message_id, head, root, event))
        return True

    def _same(self, instruction: Instruction) -> Message | None:
        content = content_of(instruction.tree)
        for message in self._store.finished(instruction) if content else ():
            same = content_of(message.instruction.tree) == content
            if same and message.reply is not None and error_of(message.reply) is None:
                return message
        return None
