"""The registry of models: what a run's rounds made, and which version the devices shall serve.

A version exists once its files and its manifest are stored; its number and content never change, and what it was
signed with when it was registered stays with it. A version is promoted only if it can be served, it is signed, and its
files are whole.
"""

import math

from msgspec.structs import replace

from flip_hub.api.pages import Page, Wanted
from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.audit.changes import changed
from flip_hub.devices.service import DeviceService
from flip_hub.live import LiveHub, ModelVersionChanged
from flip_hub.models.schemas import Model, ModelVersion
from flip_hub.models.signing import ModelSigner
from flip_hub.models.store import ModelStore
from flip_hub.names import check_name
from flip_hub.problem import Conflict, NotFound, Unprocessable
from flip_runtime.errors import Corrupt, Unavailable
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest, ModelAssignment, Sha256, encode_manifest

_RESERVED = "blobs"  # the name of a folder in the devices' model store
_TRIES = 32


class ModelService:
    def __init__(
        self, store: ModelStore, artifacts: Artifacts, devices: DeviceService, live: LiveHub, signer: ModelSigner
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._devices = devices
        self._live = live
        self._signer = signer

    async def models(self, wanted: Wanted) -> Page[Model]:
        """By name."""
        return await self._store.models(wanted)

    async def versions(self, model: str, wanted: Wanted, run_id: str | None = None) -> Page[ModelVersion]:
        """Newest first. Raises `NotFound`."""
        found = await self._store.of_model(model, wanted, run_id)
        if not found.items and not await self._store.latest(model):
            raise NotFound(f"no model {model[:80]!r}", hint="GET /api/v1/models lists them")
        return found

    async def of_run(self, run_id: str) -> list[ModelVersion]:
        """Newest first."""
        return await self._store.of_run(run_id)

    async def get(self, model: str, version: int) -> ModelVersion:
        """Raises `NotFound`."""
        found = await self._store.get(model, version)
        if found is None:
            raise NotFound(
                f"no version {version} of model {model[:80]!r}", hint="GET /api/v1/models/NAME/versions lists them"
            )
        return found

    async def file(self, model: str, version: int, name: str) -> FileRef:
        """Raises `NotFound`."""
        for file in (await self.get(model, version)).manifest.files:
            if file.name == name:
                return file
        raise NotFound(f"version {version} of {model} has no file {name[:80]!r}", hint="its manifest names its files")

    async def offers(self, artifact: Sha256) -> bool:
        """Whether devices may fetch it: the manifests and files of registered versions, nothing else."""
        return await self._store.names(artifact)

    async def succeeds(self, artifact: Sha256, base: Sha256) -> bool:
        """Whether they are the same file of two versions of one model: one may be made of the other."""
        return await self._store.succeeds(artifact, base)

    def check_name(self, model: str) -> None:
        """Raises `Unprocessable`."""
        check_name(model, of="model", reserved=_RESERVED)

    async def register(self, manifest: Manifest) -> ModelVersion:
        """Gives the manifest its number and keeps it; the same round of the same run is registered once.

        Raises `Unprocessable` when it is not fit to be kept, for example because a file it names was never stored.
        """
        await self._check(manifest)
        manifest = replace(manifest, metrics={k: v for k, v in manifest.metrics.items() if math.isfinite(v)})
        for _ in range(_TRIES):
            if manifest.run_id and (known := await self._of_round(manifest)):
                return known
            numbered = replace(manifest, version=await self._store.latest(manifest.model) + 1)
            content = encode_manifest(numbered)
            sha256 = await self._artifacts.put(content)
            signatures = self._signer.sign(_assignment(numbered, sha256, len(content)))
            if await self._store.add(numbered, sha256, signatures):
                made = await self.get(numbered.model, numbered.version)
                self._live.publish(ModelVersionChanged(data=made))
                return made
        raise Unavailable(f"no free number for a version of {manifest.model} after {_TRIES} tries")

    async def promote(self, model: str, version: int) -> ModelVersion:
        """Makes it what every device shall serve, at once. Raises as `assignment` does, or `Conflict` while a rollout
        brings a version of that model."""
        return await self.settle(await self.assignment(model, version))

    async def assignment(self, model: str, version: int, *, again: bool = False) -> ModelAssignment:
        """What a device is told to serve. Raises `NotFound`, or `Conflict` when the version cannot be served or, unless
        it shall be tried `again`, was withdrawn."""
        made = await self.get(model, version)
        if not made.deployable:
            raise Conflict(
                f"version {version} of {model} is weights only and cannot be served",
                hint="name an export entry point under [tool.flip] in the app's pyproject.toml, and run it again",
            )
        if not made.signatures:
            raise Conflict(
                f"version {version} of {model} was registered before this hub signed versions: devices refuse it",
                hint="run its app again, or promote a later version",
            )
        if made.withdrawn and not again:
            raise Conflict(
                f"version {version} of {model} was withdrawn: {made.withdrawn}",
                hint=f"take another one, or: flip-hub rollouts start {model} {version} --again",
            )
        await self._verify(made)
        size = await self._artifacts.size(made.manifest_sha256)
        return replace(_assignment(made.manifest, made.manifest_sha256, size), signatures=made.signatures)

    async def settle(self, assignment: ModelAssignment, ends: str = "") -> ModelVersion:
        """Every device shall serve it; the rollout `ends` is thereby over. The same again changes nothing. Raises
        `Conflict` while another rollout brings a version of that model."""
        await self._devices.fleet.assign_model(assignment, ends)
        return await self._settled(assignment)

    async def take_back(self, brought: ModelAssignment, before: ModelAssignment) -> None:
        """Every device shall serve `before` again, unless another version has taken the place of `brought` by now. The
        same again changes nothing. Raises `Conflict` while a rollout brings a version of that model."""
        if await self._devices.fleet.take_back(brought, before):
            await self._settled(before)

    async def withdraw(self, model: str, version: int, reason: str, at: float) -> None:
        """The hub brings it to no device any more, until it is reinstated. Raises `NotFound`."""
        await self._store.withdraw(await self.get(model, version), reason, at)
        await self._publish(model, version)

    async def reinstate(self, model: str, version: int) -> None:
        """It may be brought to devices again. Raises `NotFound`."""
        await self._store.reinstate(await self.get(model, version))
        await self._publish(model, version)

    async def _settled(self, assignment: ModelAssignment) -> ModelVersion:
        """It is told as the promoted one."""
        model, version = assignment.model, assignment.version
        before = await self._store.promoted(model)
        changed("promoted", before, version)
        await self._store.promote(model, version)
        if before is not None and before != version:
            await self._publish(model, before)
        return await self._publish(model, version)

    async def _publish(self, model: str, version: int) -> ModelVersion:
        made = await self.get(model, version)
        self._live.publish(ModelVersionChanged(data=made))
        return made

    async def _of_round(self, manifest: Manifest) -> ModelVersion | None:
        return await self._store.of_round(manifest.run_id, manifest.round, manifest.model)

    async def _verify(self, made: ModelVersion) -> None:
        for sha256 in [made.manifest_sha256, *(file.sha256 for file in made.manifest.files)]:
            try:
                await self._artifacts.verify(sha256)
            except Corrupt as error:
                raise Conflict(
                    f"version {made.version} of {made.model} cannot be served: {error.args[0]}",
                    hint="promote another version, or restore the hub's artifacts folder from a backup",
                ) from error

    async def _check(self, manifest: Manifest) -> None:
        self.check_name(manifest.model)
        expected = {manifest.weights.name: WEIGHTS} | ({manifest.graph.name: GRAPH} if manifest.graph else {})
        for found, name in expected.items():
            if found != name:
                raise Unprocessable(f"a manifest names the file {found[:80]!r} where {name} belongs")
        for file in manifest.files:
            if not await self._artifacts.holds(file.sha256):
                raise Unprocessable(f"{file.name} of the new version of {manifest.model} was never stored")
            if (size := await self._artifacts.size(file.sha256)) != file.size:
                raise Unprocessable(f"{file.name} has {size:,} bytes, its manifest says {file.size:,}")


def _assignment(manifest: Manifest, sha256: Sha256, size: int) -> ModelAssignment:
    """`size` in bytes of the manifest. Not signed."""
    return ModelAssignment(model=manifest.model, version=manifest.version, manifest=sha256, size=size)
