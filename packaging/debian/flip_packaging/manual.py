"""The manual page and the completion of a program, from its own command line."""

import argparse
import importlib

import shtab
from argparse_manpage.manpage import Manpage

from flip_packaging.package import Program

_FILES = {
    "flip-agent": [
        ("/etc/flip/agent.toml", "configuration; FLIP_SECTION__KEY sets single values"),
        ("/etc/credstore/flip-inference-token", "secret that requests from the network must show, for root alone"),
        ("/var/lib/flip", "key, identity, outbox, session and models of this device"),
        ("/run/flip", "sockets"),
        ("/opt/flip-agent/current, previous", "the version that runs, and the one that rollback returns to"),
    ],
    "flip-hub": [
        ("/etc/flip/hub.toml", "configuration; FLIP_SECTION__KEY sets single values"),
        ("/var/lib/flip-hub", "keys, certificates, model files, logs"),
        ("/opt/flip-hub/current, previous", "the version that runs, and the one before"),
    ],
}


def parser_of(program: Program) -> argparse.ArgumentParser:
    return importlib.import_module(f"{program.module}.cli").command_line()


def manual_page(program: Program, version: str) -> str:
    data = {
        "project_name": "FLIP",
        "prog": program.name,
        "version": version,
        "manual_section": "1",
        "manual_title": "FLIP",
        "description": program.summary,
    }
    text = str(Manpage(parser_of(program), format="pretty", _data=data))
    files = "".join(f".TP\n.I {path}\n{what}\n" for path, what in _FILES[program.name])
    return f"{text}\n.SH FILES\n{files}"


def bash_completion(program: Program) -> str:
    return shtab.complete(parser_of(program), "bash")
