"""Imported once by the server that forks `train` processes for the tests: they then start in no time."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import flip_agent.federation.session_process as session_process

__all__ = ["session_process"]
