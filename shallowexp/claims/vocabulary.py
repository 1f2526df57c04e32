"""The words that experiments and notebooks speak: choose runs, compare them, state hypotheses, draw."""

from shallowexp.analysis import Comparison, Lacking, Runs, require
from shallowexp.claims.figures import boundary, legend, median_and_band, step_axis, styled, styles_of, unit_lines
from shallowexp.claims.page import Page
from shallowexp.claims.replay import Replay, replay, with_weights
from shallowexp.claims.statement import Atom, above, at_most, atom, below, theorem, within
from shallowexp.claims.statistics import Effect, Fractions, effect

__all__ = [
    "Atom",
    "Comparison",
    "Effect",
    "Fractions",
    "Lacking",
    "Page",
    "Replay",
    "Runs",
    "above",
    "at_most",
    "atom",
    "below",
    "boundary",
    "effect",
    "legend",
    "median_and_band",
    "replay",
    "require",
    "step_axis",
    "styled",
    "styles_of",
    "theorem",
    "unit_lines",
    "with_weights",
    "within",
]
