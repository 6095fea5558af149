"""One connection, used from any thread, and closed while others still ask."""

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from flip_agent.durable_file import DurableFile

SLOW = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000) select max(i) from n"


def test_a_file_is_closed_after_the_statement_that_is_under_way(folder: Path) -> None:
    for number in range(5):
        file = DurableFile(folder / f"{number}.db", "create table if not exists t (a);", version=1)
        asked, answers = threading.Event(), list[object]()

        def ask(file: DurableFile = file, asked: threading.Event = asked, answers: list[object] = answers) -> None:
            asked.set()
            with contextlib.suppress(sqlite3.ProgrammingError):
                answers.append(file.row(SLOW))

        thread = threading.Thread(target=ask)
        thread.start()
        assert asked.wait(10)
        file.close()
        thread.join()
        assert answers in ([(300000,)], [])  # it was first, or it was refused
        with pytest.raises(sqlite3.ProgrammingError):
            file.row("select 1")
