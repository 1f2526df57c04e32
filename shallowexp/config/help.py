"""`shallowexp --help`: what it is, examples, the groups, and every key with the words that conf/config.yaml has for it."""

from omegaconf import OmegaConf

from shallowexp import CONF

TEXT = """shallowexp trains networks with one hidden layer, and tracks every run in MLflow.

  shallowexp activation=relu hidden_size=8                                     one run
  shallowexp -m activation=sigmoid,tanh init=zero,random 'seed=range(10)'      a sweep: every combination
  shallowexp -m +experiment=symmetry                                           a sweep that comes with it

Then: shallowexp-ui (MLflow's pages), shallowexp-report --sweep latest (a page of figures), shallowexp-report (the experiments).

Groups, as group=choice; what a choice is made of follows as group.key=value (--cfg job shows it):

$APP_CONFIG_GROUPS

Keys, as key=value or train.key=value, with their defaults:

{keys}
Hydra's own flags: --hydra-help. Version: --version.
"""


def template() -> str:
    """Of Hydra's help: conf/config.yaml has the keys' words, so that they are explained in one place."""
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    keys = text[text.index("hidden_size:") : text.index("hydra:")]
    return TEXT.replace("{keys}", keys.replace("$", "$$"))


OmegaConf.register_new_resolver("shallowexp.help", template, replace=True)
