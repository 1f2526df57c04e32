"""Places that are against a command: a disk without room or inodes, one that is read-only, a database that another program holds."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.torture.crashes import Torture
from tests.torture.dying import LOCK


class Disk(Torture):
    """A file system in memory with a `limit` while the command works, which is then lifted; it takes root to mount it."""

    def __init__(self, limit: str, step: int, *context: Any):
        super().__init__(*context)
        self.limit = limit
        if os.getuid() == 0:
            with self.copied():
                used, _, most = self.used(), self.dying(0, ""), self.used()
            self.points = range(used, most + 1, step)

    @contextmanager
    def copied(self) -> Iterator[Path]:
        self.folder.mkdir()
        self.mount("tmpfs", "-t", "tmpfs")
        try:
            shutil.copytree(self.start, self.folder, dirs_exist_ok=True)
            yield self.folder
        finally:
            subprocess.run(["umount", self.folder], check=True)
            self.folder.rmdir()

    def mount(self, *words: str) -> None:
        subprocess.run(["mount", *words, self.folder], check=True)

    def used(self) -> int:
        """Of what is limited."""
        found = os.statvfs(self.folder)
        bytes_used = (found.f_blocks - found.f_bfree) * found.f_frsize
        return {"size": bytes_used, "nr_inodes": found.f_files - found.f_ffree, "ro": 1}[self.limit]

    def disturb(self, point: int) -> CompletedProcess:
        self.mount("-o", f"remount,{self.limit}" + ("" if self.limit == "ro" else f"={point}"))
        done = self.dying(0, "")[0]
        self.mount("-o", "remount,rw,size=1g,nr_inodes=100k")
        return done


class Locked(Torture):
    """Another program holds the database for a minute, from one of ten moments on."""

    points = range(10)

    def disturb(self, point: int) -> CompletedProcess:
        done, _ = self.dying(1 + point * self.events // len(self.points), "lock")
        with closing(sqlite3.connect(self.folder / "mlflow.db", timeout=2 * LOCK)) as database:
            database.execute("BEGIN EXCLUSIVE")
        return done
