"""What the user is told in one message: nothing here is a bug."""


class UserError(Exception):
    """Ends a command with its message and `status`, without a traceback."""

    status = 1


class ConfigError(UserError):
    """A configuration that cannot be run; the message names the key, the value and the choices."""


class TrackingError(UserError):
    """A store that cannot be used; the message names its URI and what to do."""


class RunsFailed(UserError):
    """Some runs of a sweep raised; the others are in MLflow."""

    def __init__(self, failures: dict[str, str]):
        lines = [f"  {name}: {error}" for name, error in failures.items()]
        super().__init__("\n".join([f"{len(failures)} runs failed:", *lines]))


class Interrupted(UserError):
    """A signal stopped a sweep; what was trained until then is in MLflow."""

    def __init__(self, done: object, signal: int):
        super().__init__(f"stopped: {done}. The same command goes on where this one stopped")
        self.status = 128 + signal
