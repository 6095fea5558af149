"""One instance of `flip-agent serve`: its parts, and the services they run as; no logic of its own."""

from pathlib import Path

from litestar.types import ASGIApp

from flip_agent.feedback.accounts import Lost
from flip_agent.feedback.local_app import serve_locally
from flip_agent.feedback.routes import reading, writing
from flip_agent.feedback.sample_store import SampleStore
from flip_agent.inference.credentials import Credentials
from flip_agent.inference.engine.engine import Engine
from flip_agent.inference.engine.own_parts import follow, with_own_parts
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.engine.waking import rest, tidy
from flip_agent.inference.guard.comparison import Copies, SpareThread
from flip_agent.inference.guard.guardian import Guardian
from flip_agent.inference.guard.objections import Limits
from flip_agent.inference.guard.trial import Trial
from flip_agent.inference.guard.verdicts import Verdicts
from flip_agent.inference.http.admission import Admission
from flip_agent.inference.http.front import Front
from flip_agent.inference.http.infer import InferEndpoint
from flip_agent.inference.http.listener import url
from flip_agent.inference.http.routes import create_app, local_app
from flip_agent.inference.metrics.latency import Latencies
from flip_agent.inference.metrics.metrics import Metrics
from flip_agent.inference.metrics.traffic import TrafficCount
from flip_agent.inference.run_link import RunLink
from flip_agent.instances import Instances
from flip_agent.memory import give_memory_back
from flip_agent.models.store import ModelStore
from flip_agent.own_parts import FOLDER, OwnPartsFolder
from flip_agent.settings import InferenceSection, ModelsSection, Settings
from flip_runtime.supervisor import Service
from flip_wire.models import Manifest


class Instance:
    """Made on the event loop."""

    def __init__(self, settings: Settings, name: str, where: InferenceSection, credentials: Credentials) -> None:
        """`where`: the settings that hold for this instance."""
        folder, rules = settings.agent.state / "serve" / name, settings.models
        self._where = where
        self._credentials = credentials
        self._local_socket = settings.agent.sockets / f"serve-{name}.sock"
        self._verdicts = Verdicts(folder)
        self._metrics, latencies, copies, self._spare = Metrics(), Latencies(), Copies(), SpareThread()
        self._parts = OwnPartsFolder(settings.agent.state / FOLDER)
        self._models = self._served_models(settings.agent.state / "models", Instances(settings.inference), name)
        self._samples = SampleStore(folder / "samples.db", settings.samples, [self._judged])
        self._engine = Engine(self._models, [self._metrics, latencies, copies, self._samples.predictions])
        trial = Trial(
            *(self._models, copies, self._spare, self._samples, limits(rules)),
            shadow=rules.shadow_requests,
            within=rules.shadow_within,
        )
        traffic = TrafficCount(name, self._models, self._metrics, latencies, self._lost)
        self._link = RunLink(
            *(settings.agent.run_socket, name, self._models, trial, self._verdicts, traffic),
            url=url(where),
        )
        self._guardian = Guardian(
            *(self._models, self._metrics, self._verdicts, copies, self._spare, self._samples, limits(rules)),
            watch=rules.watch,
            told=self._link.rolled_back,
        )

    def app(self) -> Front:
        where, credentials = self._where, self._credentials
        feedback = writing(self._samples, self._manifest, where.max_body)
        rest_of_it = create_app(self._models, self._metrics, self._lost, feedback)
        infer = InferEndpoint(self._engine, where.max_body)
        return Front(Admission(where.names, credentials.token), infer, rest_of_it)

    def services(self) -> list[Service]:
        services = [
            Service("models", self._link.run),
            Service("guard", self._guardian.run),
            Service("samples", self._samples.run),
            Service("local socket", lambda: serve_locally(self._local_socket, self._local_app())),
            Service("rest", lambda: rest(lambda: self._models.all, self._where.keep_alive)),
            Service(
                "parts",
                lambda: follow(lambda: self._models.all, self._parts, self._models.opened, self._link.tell_changes),
            ),
            Service("tidy", lambda: tidy(self._models.built)),
        ]
        return [*services, Service("grpc", self._serve_grpc)] if self._where.grpc else services

    async def close(self) -> None:
        await self._samples.close()
        self._models.close()
        self._spare.close()

    def _served_models(self, store: Path, instances: Instances, name: str) -> ServedModels:
        models = ModelStore(store)
        return ServedModels(
            models,
            max_rows=self._where.max_rows,
            max_queue=self._where.max_queue,
            executed=self._metrics.executed,
            condemned=self._verdicts.condemned,
            holds=lambda model: instances.holder(model) == name,
            own=lambda version: with_own_parts(models, self._parts, version),
        )

    def _judged(self, model: str, version: int, correct: bool) -> None:
        self._metrics.judged(model, version, correct)
        self._guardian.judged(model, version, correct)

    def _lost(self) -> Lost:
        return self._samples.lost

    def _manifest(self, model: str) -> Manifest:
        return self._models.find(model)[1].manifest

    def _local_app(self) -> ASGIApp:
        return local_app([*writing(self._samples, self._manifest, self._where.max_body), *reading(self._samples)])

    async def _serve_grpc(self) -> None:
        """Beside HTTP, which need not wait for the library's import."""
        from flip_agent.inference.grpc.server import GrpcServer
        from flip_agent.inference.grpc.service import InferenceService

        give_memory_back()
        await GrpcServer(self._where, self._credentials, InferenceService(self._engine, self._metrics)).run()


def limits(rules: ModelsSection) -> Limits:
    return Limits(
        judged_by=rules.judged_by,
        max_error_rate=rules.max_error_rate,
        max_slowdown=rules.max_slowdown,
        min_agreement=rules.min_agreement,
        min_accuracy=rules.min_accuracy,
    )
