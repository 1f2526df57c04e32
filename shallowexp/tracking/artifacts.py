"""Files into MLflow's artifact stores and out of them."""

import io
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shallowexp.tracking.errors import explained_artifacts, explained_damage

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository


def put_artifacts(artifact_uri: str, uri: str, artifacts: dict[str, bytes]) -> None:
    """Store path -> content under a run's artifact URI; files of this machine are written directly."""
    if not artifacts:
        return
    with explained_artifacts(artifact_uri), tempfile.TemporaryDirectory() as temporary:
        folder = _folder(artifact_uri)
        for path, content in artifacts.items():
            file = (folder or Path(temporary)) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        if folder is None:
            _repository(artifact_uri, uri).log_artifacts(temporary)


def read_artifact(artifact_uri: str, uri: str, path: str) -> bytes:
    """The content of an artifact."""
    with explained_artifacts(artifact_uri):
        return _read(artifact_uri, uri, path)


def load_arrays(artifact_uri: str, uri: str, path: str) -> dict[str, np.ndarray]:
    """The arrays of an npz artifact. Raises RunDamaged where it is gone or broken."""
    with explained_damage(f"{artifact_uri}/{path}"):
        content = io.BytesIO(_read(artifact_uri, uri, path))
        with np.load(content, allow_pickle=False) as arrays:
            return dict(arrays)


def npz(**arrays: Any) -> bytes:
    """What `load_arrays` reads."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _read(artifact_uri: str, uri: str, path: str) -> bytes:
    with tempfile.TemporaryDirectory() as temporary:
        folder = _folder(artifact_uri)
        file = folder / path if folder else _repository(artifact_uri, uri).download_artifacts(path, temporary)
        return Path(file).read_bytes()


def delete_artifacts(artifact_uri: str, uri: str) -> None:
    """All artifacts of a run; there may be none."""
    with explained_artifacts(artifact_uri):
        folder = _folder(artifact_uri)
        if folder is None:
            _repository(artifact_uri, uri).delete_artifacts()
        elif folder.is_dir():
            shutil.rmtree(folder)


def local_names(location: str) -> list[str]:
    """What lies directly in an artifact location; nothing if that is not a folder of this machine."""
    folder = _folder(location)
    return [path.name for path in folder.iterdir()] if folder and folder.is_dir() else []


def _folder(artifact_uri: str) -> Path | None:
    """The folder, if artifacts under this URI are files of this machine."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    local = is_local_uri(artifact_uri, is_tracking_or_registry_uri=False)
    return Path(local_file_uri_to_path(artifact_uri)) if local else None


def _repository(artifact_uri: str, uri: str) -> "ArtifactRepository":
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(artifact_uri, tracking_uri=uri)
