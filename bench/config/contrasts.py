"""Contrasts that the command line declares, besides those of the experiment file."""

from __future__ import annotations

from collections.abc import Sequence

from bench.config.catalog import ALL, find_method
from bench.config.experiment import Experiment, validated
from bench.errors import UserError

# What a new method is compared with by default.
BASELINES = ("dpo", "ppo")
# Methods that are there for others to be compared with: they get no contrast by default.
NEVER_BY_DEFAULT = ("sft", "best_of_n", *BASELINES)


def declare(experiment: Experiment, pairs: Sequence[str], named: Sequence[str]) -> Experiment:
    """Return the experiment with more contrasts.

    First come those of the command line, then the defaults, then those of the experiment file. By
    default a named method that no other contrast names is compared with DPO and with PPO, if they
    are named too.

    Args:
        experiment: The experiment with the methods that are compared.
        pairs: Contrasts of the command line, such as "mine,dpo".
        named: Methods that the command line names; `all` among them names none.

    Raises:
        UserError: A pair does not name two different methods of the experiment.
    """
    declared = [_pair(text, experiment) for text in pairs]
    with_contrast = {name for pair in [*declared, *experiment.contrasts] for name in pair}
    new = [
        name
        for name in named
        if name not in {ALL, *with_contrast, *NEVER_BY_DEFAULT}
        and not find_method(name, "--methods").privileged
    ]
    by_default = [(name, other) for name in new for other in BASELINES if other in named]
    contrasts: dict[frozenset[str], tuple[str, str]] = {}
    for pair in [*declared, *by_default, *experiment.contrasts]:
        contrasts.setdefault(frozenset(pair), pair)
    content = experiment.model_dump() | {"contrasts": list(contrasts.values())}
    return validated(content, "options")


def _pair(text: str, experiment: Experiment) -> tuple[str, str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise UserError(f"--contrast: must name two methods, as in mine,dpo; not '{text}'")
    first, second = names
    for name in names:
        find_method(name, "--contrast")
        if name not in experiment.methods:
            compared = ", ".join(experiment.methods)
            raise UserError(f"--contrast: '{name}' is not among the methods compared: {compared}")
    if first == second:
        raise UserError(f"--contrast: must name two different methods, not '{first}' twice")
    return first, second
