"""What lies beside kept weights: the data and the activation that they belong to."""

import json

import numpy as np

from shallowexp.network import activations, outputs
from shallowexp.network.activations import Activation
from shallowexp.network.choices import describe
from shallowexp.network.data import Data

OUTPUTS = {"binary": outputs.Sigmoid(), "multiclass": outputs.Softmax(), "regression": outputs.Identity()}
ACTIVATIONS = {
    "sigmoid": activations.Sigmoid(),
    "tanh": activations.Tanh(),
    "relu": activations.ReLU(),
    "leaky_relu": activations.LeakyReLU(),
    "identity": activations.Identity(),
}


def choices(data: Data, activation: Activation | str) -> np.ndarray:
    activation = ACTIVATIONS.get(activation, activation)
    kept = {"data": describe(data), "activation": describe(activation), "output": describe(OUTPUTS[data.task])}
    return np.array(json.dumps(kept | {"digest": data.load().digest}))
