"""Of which files a version that can be served is made: a graph and its weights, by these names, and nothing else."""

from flip_runtime.errors import Rejected
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest


def servable_files(manifest: Manifest) -> tuple[FileRef, FileRef]:
    """Graph and weights. Raises `Rejected`: files of other kinds (`.pt2`, pickle, TorchScript) are not even opened."""
    if manifest.graph is None or not manifest.deployable:
        reason = f"{manifest.model} version {manifest.version} is weights only, it cannot be served"
        raise Rejected(reason, hint="name an export entry point in the app")
    for file, name in ((manifest.graph, GRAPH), (manifest.weights, WEIGHTS)):
        if file.name != name:
            raise Rejected(f"the manifest names '{file.name[:100]}' where {name} is expected")
        if file.size < 0:
            raise Rejected(f"{name} of {file.size} bytes")
    return manifest.graph, manifest.weights
