"""What fields say over seeds: a file of experiments/fields/ for a choice of conf/field/, found as experiments are. It has

- a docstring: in one sentence what the field is of, and what the literature adds;
- `atoms(fields, zooms) -> Iterable[Atom]`: hypotheses, and what fields of one configuration, but for their seeds, say of each;
  `zooms` are those into them.

Neighbouring pixels share their seed and are no samples: an atom has one number of each seed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shallowexp.claims.claim import Claim, state
from shallowexp.claims.statement import Atom
from shallowexp.fields.field import Field, differences, named, without_what_follows

SEEDS = ("seed", "data.seed")


def findings(claim: Claim, fields: Sequence[Field]) -> tuple[list[Atom], str]:
    """The atoms of each configuration among these fields of one choice, the newest first; and what is lacking for others.

    Raises what the claim's own code raises.
    """
    module, atoms, lacks = claim.load(["atoms(fields, zooms)"]), [], []
    wholes = [field for field in fields if not field.window]
    alike = [field for field in wholes if _same(field, wholes[0])]
    for scope, group in _scopes(alike).items():
        found, lack = state(module, group, _zooms(group, fields))
        atoms += [replace(atom, scope=scope, text=": ".join(filter(None, (scope, atom.text)))) for atom in found]
        lacks += [lack] if lack else []
    return atoms, "; ".join(dict.fromkeys(lacks))


def _same(field: Field, other: Field) -> bool:
    return (field.x, field.y, field.loss) == (other.x, other.y, other.loss)


def _scopes(fields: Sequence[Field]) -> dict[str, list[Field]]:
    """Those that only their seeds tell apart, one of each seed, by what else tells them from the others."""
    keys = [key for key in differences(fields) if key not in SEEDS]
    found: dict[tuple[str | None, ...], dict[tuple[str | None, ...], Field]] = {}
    for field in fields:
        seeds = found.setdefault(tuple(map(field.params.get, keys)), {})
        seeds.setdefault(tuple(map(field.params.get, SEEDS)), field)
    groups = [[*seeds.values()] for seeds in found.values()]
    names = [named(group[0], without_what_follows(keys)) for group in groups]
    unique = len({*names}) == len(names)
    return {name if unique else named(group[0], keys): group for name, group in zip(names, groups, strict=True)}


def _zooms(wholes: Iterable[Field], fields: Iterable[Field]) -> list[Field]:
    """A zoom keeps its whole's configuration and number of pixels, and lies within its axes."""
    return [
        field for field in fields if field.window
        and any(field.params == whole.params and _within(field, whole) for whole in wholes)
    ]  # fmt: skip


def _within(field: Field, whole: Field) -> bool:
    pairs = ((field.x, whole.x), (field.y, whole.y))
    return all(a.count == b.count and b.low <= a.low and a.high <= b.high for a, b in pairs)
