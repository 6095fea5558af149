"""The model repository: which versions this device has, and to give back a model's memory until it is wanted again."""

import msgspec
from litestar import post

from flip_agent.inference import catalogue
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.protocol.extensions import IndexEntry, IndexRequest, RepositoryRequest
from flip_agent.inference.protocol.json_tensors import decode_json

_index_request = msgspec.json.Decoder(IndexRequest)
_repository_request = msgspec.json.Decoder(RepositoryRequest)

_MAX_BODY = 2**14
"""Bytes."""
_MODEL = "/v2/repository/models/{model:str}"


@post("/v2/repository/index", status_code=200, sync_to_thread=False, request_max_body_size=_MAX_BODY)
def repository_index(models: ServedModels, body: bytes) -> list[IndexEntry]:
    """The versions that are here, and whether they answer."""
    asked = decode_json(_index_request, body or b"{}", "the body")
    return catalogue.repository_index(models, ready=asked.ready)


@post(f"{_MODEL}/load", status_code=200, request_max_body_size=_MAX_BODY)
async def load_model(models: ServedModels, model: str, body: bytes) -> list[IndexEntry]:
    """Returns when the model answers."""
    catalogue.check_load_parameters(_parameters(body))
    await models.load_model(model)
    return catalogue.repository_index(models, name=model)


@post(f"{_MODEL}/unload", status_code=200, request_max_body_size=_MAX_BODY)
async def unload_model(models: ServedModels, model: str, body: bytes) -> list[IndexEntry]:
    """It answers nothing until it is loaded, or another version takes over."""
    _parameters(body)
    await models.unload_model(model)
    return catalogue.repository_index(models, name=model)


def _parameters(body: bytes) -> list[str]:
    return list(decode_json(_repository_request, body or b"{}", "the body").parameters)
