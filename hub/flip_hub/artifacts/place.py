"""Where this hub keeps its artifacts, by its settings."""

from flip_hub.artifacts.artifacts import ARTIFACT_LIMIT, Artifacts
from flip_hub.artifacts.bucket import BucketArtifacts, bucket
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.settings import Settings


def artifacts_in(settings: Settings, folder: str, *, limit: int = ARTIFACT_LIMIT) -> Artifacts:
    """`folder` keeps kinds of files apart. Raises `ConfigError`."""
    if settings.artifacts.url:
        return BucketArtifacts(bucket(settings.artifacts, folder), limit=limit)
    return FolderArtifacts((settings.artifacts.folder or settings.hub.state) / folder, limit=limit)
