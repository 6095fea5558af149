"""Everything but inference itself, as a Litestar application: health, metadata, repository, figures, documentation."""

import importlib.metadata
from collections.abc import Callable, Sequence
from typing import Any

from litestar import Request, Response, get
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig

from flip_agent.feedback.accounts import Lost
from flip_agent.inference import catalogue
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.http.app import App
from flip_agent.inference.http.openapi import Document, Page
from flip_agent.inference.http.repository_routes import load_model, repository_index, unload_model
from flip_agent.inference.metrics.metrics import Metrics
from flip_agent.inference.problems import Refusal, problem, problem_headers, problem_of
from flip_agent.inference.protocol.extensions import ModelConfig, Statistics
from flip_agent.inference.protocol.oip import Live, ModelMetadata, ModelReady, Ready, ServerMetadata
from flip_wire.problem import Problem

AnyRequest = Request[Any, Any, Any]


@get("/v2/health/live", sync_to_thread=False)
def live() -> Live:
    """The process answers."""
    return Live(live=True)


@get("/v2/health/ready", sync_to_thread=False)
def ready(models: ServedModels) -> Ready:
    """503 until a model answers."""
    models.check_ready()
    return Ready(ready=True)


@get("/v2", sync_to_thread=False)
def server_metadata() -> ServerMetadata:
    """Its version, and the extensions of the protocol that it has."""
    return catalogue.server_metadata()


@get(["/v2/models/{model:str}", "/v2/models/{model:str}/versions/{version:str}"], sync_to_thread=False)
def model_metadata(models: ServedModels, model: str, version: str | None = None) -> ModelMetadata:
    """Inputs and outputs, and the versions that answer now."""
    return catalogue.model_metadata(models, model, version)


@get(["/v2/models/{model:str}/ready", "/v2/models/{model:str}/versions/{version:str}/ready"], sync_to_thread=False)
def model_ready(models: ServedModels, model: str, version: str | None = None) -> ModelReady:
    """404 or 503 unless it answers."""
    models.find(model, version)
    return ModelReady(name=model, ready=True)


@get(["/v2/models/{model:str}/config", "/v2/models/{model:str}/versions/{version:str}/config"], sync_to_thread=False)
def model_config(models: ServedModels, model: str, version: str | None = None) -> ModelConfig:
    """As Triton would describe it."""
    return catalogue.model_config(models, model, version)


@get("/v2/models/stats", sync_to_thread=False)
def all_statistics(models: ServedModels, metrics: Metrics) -> Statistics:
    """Of all models, since the process started."""
    return Statistics(model_stats=catalogue.model_statistics(models, metrics))


@get(["/v2/models/{model:str}/stats", "/v2/models/{model:str}/versions/{version:str}/stats"], sync_to_thread=False)
def statistics(models: ServedModels, metrics: Metrics, model: str, version: str | None = None) -> Statistics:
    """Of one model, since the process started."""
    return Statistics(model_stats=catalogue.model_statistics(models, metrics, model, version))


@get("/metrics", sync_to_thread=False, media_type="text/plain")
def prometheus(models: ServedModels, metrics: Metrics, lost: Lost) -> Response[bytes]:
    """The figures for Prometheus."""
    from flip_agent.inference.metrics.exposition import CONTENT_TYPE, exposition  # costs MiB where nobody asks for it

    return Response(exposition(models, metrics, lost), media_type=CONTENT_TYPE)


def create_app(
    models: ServedModels, metrics: Metrics, lost: Callable[[], Lost], more: Sequence[HTTPRouteHandler]
) -> App:
    """`lost`: samples, and predictions."""
    return App(
        [
            *(live, ready, server_metadata, model_metadata, model_ready, model_config),
            *(repository_index, load_model, unload_model, all_statistics, statistics, prometheus),
            *more,
        ],
        dependencies={
            "models": Provide(lambda: models, sync_to_thread=False),
            "metrics": Provide(lambda: metrics, sync_to_thread=False),
            "lost": Provide(lost, sync_to_thread=False),
        },
        exception_handlers=_AS_PROBLEMS,
        openapi_config=OpenAPIConfig(
            title="FLIP inference",
            version=importlib.metadata.version("flip-edge"),
            path="/docs",
            render_plugins=[Page(), Document()],
            use_handler_docstrings=True,
        ),
        logging_config=None,
    )


def local_app(handlers: Sequence[HTTPRouteHandler]) -> App:
    """For the Unix socket."""
    return App(handlers, exception_handlers=_AS_PROBLEMS, openapi_config=None, logging_config=None)


def _on_refusal(_: AnyRequest, refusal: Refusal) -> Response[Problem]:
    return _response(problem_of(refusal), problem_headers(refusal))


def _on_http_error(_: AnyRequest, error: HTTPException) -> Response[Problem]:
    if error.status_code >= 500:
        raise error
    hint = "GET /docs/openapi.json describes all calls"
    return _response(problem(error.status_code, error.detail, hint), error.headers)


def _on_bug(_: AnyRequest, error: Exception) -> Response[Problem]:
    raise error  # to `Front`, which logs it


def _response(answer: Problem, headers: dict[str, str] | None = None) -> Response[Problem]:
    return Response(answer, status_code=answer.status, headers=headers, media_type="application/problem+json")


_AS_PROBLEMS = {Refusal: _on_refusal, HTTPException: _on_http_error, Exception: _on_bug}
