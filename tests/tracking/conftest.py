"""Stores to write into: SQLite, PostgreSQL where it is installed, by the client, by a server."""

from pathlib import Path

import pytest

from shallowexp.tracking.store import Store
from tests.tracking.stores import by_client


@pytest.fixture
def database(workplace) -> Path:
    return workplace / "mlflow.db"


@pytest.fixture
def store(database) -> Store:
    return Store.open(f"sqlite:///{database}")


@pytest.fixture(params=["sqlite", "postgres"])
def sql_store(request) -> Store:
    if request.param == "sqlite":
        return request.getfixturevalue("store")
    request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))
    return Store.open(request.getfixturevalue("postgres"))


@pytest.fixture(params=["bulk", "client", "server"])
def any_store(request) -> Store:
    if request.param == "server":
        return Store.open(request.getfixturevalue("server").url)
    store = request.getfixturevalue("store")
    return store if request.param == "bulk" else by_client(store.uri)
