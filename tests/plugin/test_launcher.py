"""The launcher and the sweeper pass Hydra's own conformance suites, with task functions they do not know."""

import pytest
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.version import VersionBase

pytestmark = pytest.mark.filterwarnings("ignore:(?s).*Hydra:UserWarning")  # the suites use what Hydra deprecates


@pytest.fixture(autouse=True)
def no_version_base():
    """The suites' applications set none; another test of this process may have."""
    Singleton._instances.pop(VersionBase, None)


def test_hydra_discovers_the_plugins():
    names = {plugin.__name__ for kind in (Launcher, Sweeper) for plugin in Plugins.instance().discover(kind)}
    assert {"BatchedLauncher", "UnionSweeper"} <= names


@pytest.mark.parametrize(
    ("launcher_name", "overrides"), [("batched", []), ("batched", ["hydra/sweeper=union"])], ids=["alone", "with union"]
)
class TestBatchedLauncher(LauncherTestSuite):
    pass


@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [("batched", ["hydra/sweeper=union", "hydra.sweeper.max_batch_size=2"])],
)
class TestUnionSweeper(BatchedSweeperTestSuite):
    pass


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [({}, ["-m", "hydra/job_logging=hydra_debug", "hydra/job_logging=disabled", "hydra/launcher=batched"])],
)
class TestBatchedLauncherIntegration(IntegrationTestSuite):
    pass
