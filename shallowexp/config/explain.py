"""What Hydra, OmegaConf and YAML say of a configuration, as one message in a user's words."""

import re
from pathlib import Path
from traceback import extract_tb

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    InterpolationKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from yaml import YAMLError

from shallowexp.config.validate import unknown
from shallowexp.errors import UserError, nearest

GRAMMAR = "https://hydra.cc/docs/advanced/override_grammar/basic"
DEFAULTS = "defaults_list.py"  # of Hydra, which trips over choices such as [1,2]
PLUGINS = {"launcher": "batched", "sweeper": "union"}  # what Hydra makes before any job: ours
MANY = 100  # values that a message writes out
MISTYPED = (
    r"Value '(.*)' of type '\w+' (?:could not be converted to|is incompatible with type hint) '?(?:Optional\[)?(\w+)"
)
KINDS = {"Integer": "a whole number", "Union": "a whole number", "Float": "a number", "Boolean": "true or false"}


def explain(error: Exception) -> tuple[str | None, int]:
    """The message for the user, and the exit status; no message for what is a bug."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={name} is not a choice{nearest(name, error.options)}; choices: {', '.join(error.options)}", 1
    if isinstance(cause, ConfigAttributeError):
        keys = [str(key) for key in cause.parent_node or () if key not in ("hydra", "_target_")]
        return unknown(str(cause.full_key), keys), 1
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error.override), cause), 1
    if several := re.search(r"Ambiguous value for argument '(.+?)'", str(error)):
        return f"{several[1]} has several values: to train each of them, add -m", 1
    if other := re.search(MISTYPED, f"{error} {cause}"):
        return _mistyped(other[1], other[2], f"{error} {cause}"), 1
    if switch := re.search(r"override (\S+)\s+Value '.*' is not a valid bool", f"{error} {cause}"):
        return f"{switch[1]}: true or false is needed", 1
    if keys_of := re.search(r"override \+*([\w.]+)=.* is not a subclass of \w+Schema", f"{error} {cause}"):
        return f"{keys_of[1]} has keys of its own: give one of them a value, {keys_of[1]}.<key>=<value>", 1
    if "Cannot find primary config" in str(error):
        return f"{str(error).splitlines()[0].split('. ')[0]}: shallowexp's own is found without --config-name", 1
    if misplaced := re.search(r"Key '(experiment|field)' not in 'RunSchema'", f"{error} {cause}"):
        return f"the file in conf/{misplaced[1]} must begin with a line `# @package _global_`", 1
    if "hydra.mode changed" in str(error):  # as Hydra 1.4 says of +experiment=..., which is a sweep
        return "this is a sweep: add -m", 1
    if without := re.search(r"field '(.+?)' is not Optional", f"{error} {cause}"):
        return f"{without[1]}=null is not possible: it needs a value", 1
    if isinstance(error, (MissingMandatoryValue, InterpolationKeyError, InterpolationResolutionError)):
        return f"{error.full_key}: {str(error).splitlines()[0]}", 1
    if isinstance(error, (HydraException, OmegaConfBaseException, YAMLError)):
        return " ".join(" ".join(str(part).split("\n    ")[0].split()) for part in (error, cause) if part), 1
    raised = Path(extract_tb(error.__traceback__)[-1].filename) if error.__traceback__ else Path()
    if "Config group override must be" in str(error) or (isinstance(error, TypeError) and raised.name == DEFAULTS):
        return f"a group's choice is a name, as in activation=tanh ({str(error).split('. ')[-1]})", 1
    if (plugin := _plugin(error)) and not isinstance(error, UserError):
        return f"hydra.{plugin} cannot be made: {error}; choose one, as in hydra/{plugin}={PLUGINS[plugin]}", 1
    if isinstance(error, ValueError) and "hydra" in raised.parts:
        return str(error), 1  # of flags, say, that do not go together
    return (str(error), error.status) if isinstance(error, UserError) else (None, 1)


def _plugin(error: Exception) -> str | None:
    """Which of Hydra's plugins was about to be made."""
    called = {frame.name for frame in extract_tb(error.__traceback__)}
    return next((plugin for plugin in PLUGINS if f"instantiate_{plugin}" in called), None)


def _unreadable(override: str, cause: object) -> str:
    if asked := re.fullmatch(r"(.+)=logspace\(([^,]+),([^,]+),(\d+)\)", override):
        return _logspace(*asked.groups())
    if "=" not in override:
        return f"{override} is not key=value, without blanks around the =; shallowexp --help lists the keys"
    if override.endswith(","):
        return f"{override} ends with a comma: write values without blanks between them, key=one,two"
    return f"{override} cannot be read{f' ({cause})' if cause else ''}; {GRAMMAR} says how it is written"


def _logspace(key: str, first: str, last: str, n: str) -> str:
    """Hydra's grammar has no ranges over logarithms."""
    try:
        low, high, count = float(first), float(last), min(int(n), MANY)
        values = [10 ** (low + (high - low) * i / max(count - 1, 1)) for i in range(count)]
    except (ValueError, OverflowError):
        return f"{key}=logspace({first},{last},{n}): numbers are needed, logspace(-3,1,9)"
    return f"Hydra has no logspace: write {key}={','.join(f'{value:.4g}' for value in values)}"


def _mistyped(value: str, kind: str, text: str) -> str:
    """A value that is not of its key's type; `text` is Hydra's message, which may name the override."""
    override, key = re.search(r"override (.+?)\s+Value '", text), re.match(r"([\w.]+): Value", text)
    start = f"{override[1] if override else f'{key[1]}={value}' if key else value}: {KINDS.get(kind, kind)} is needed"
    if ends := re.fullmatch(r"(\d+)\.\.(\d+)", value):
        return f"{start}; for {ends[1]} to {ends[2]} write range({ends[1]},{int(ends[2]) + 1}), with -m"
    return start
