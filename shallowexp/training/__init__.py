"""Jobs in, results out: NumPy's engine and the compiled kernel. No configuration, no store."""

import os
from pathlib import Path
from tempfile import gettempdir, mkdtemp

CACHE = "NUMBA_CACHE_DIR"


def _cache_compiled_code() -> None:
    """In a private folder where neither the package nor the user's cache can be written to, as in some containers: Numba gives up there."""
    usual = Path(__file__).parent, Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if CACHE in os.environ or any(map(_writable, usual)):
        return
    folder = Path(gettempdir()) / f"shallowexp-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()  # what lies there is run: nobody else may have put it there
    private = found.st_uid == os.getuid() and not found.st_mode & 0o077 and not folder.is_symlink()
    os.environ[CACHE] = str(folder) if private else mkdtemp()


def _writable(folder: Path) -> bool:
    """Whether it is there, or can be made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return folder.is_absolute() and there.is_dir() and os.access(there, os.W_OK | os.X_OK)


_cache_compiled_code()
