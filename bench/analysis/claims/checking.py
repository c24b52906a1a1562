"""Whether the quantities of a claim's contrasts are known, and can be measured as it says."""

from __future__ import annotations

from bench.analysis.claims.quantities import (
    AREA,
    AT_EQUAL_KL,
    LOST_AT_THE_WEAKEST,
    OF_ALL_SETTINGS,
    QUANTITIES,
)
from bench.config.catalog import find_method
from bench.config.claim import ClaimContrast, NamedClaim, Side, matching_settings
from bench.config.experiment import Experiment
from bench.errors import UserError, shown
from bench.results import schema

# Of which methods the optima are known, on the task bandit.
AT_AN_OPTIMUM = {
    "most unlabeled mass at an optimum": ("dpo", "ipo", "ppo"),
    "least KL at an optimum": ("dpo", "ipo"),
}


def check_contrasts(claim: NamedClaim, where: str) -> None:
    """Raise UserError if a contrast's quantity is unknown, or does not fit its sides.

    Args:
        claim: The claim.
        where: Where it was written.
    """
    experiment = claim.experiment(claim.claim.seeds[-1])
    for number, contrast in enumerate(claim.claim.contrasts):
        place = f"{where}: contrasts.{number}"
        _check_quantity(contrast, place)
        for task in contrast.tasks:
            for side in filter(None, contrast.sides(task)):
                _check_side(contrast.quantity, side, experiment, place)


def _check_quantity(contrast: ClaimContrast, place: str) -> None:
    name = contrast.quantity
    columns = [column.name for column in schema.RUNS.columns if column.kind == "number"]
    if name not in (AT_EQUAL_KL, *QUANTITIES, *columns):
        known = ", ".join((AT_EQUAL_KL, *QUANTITIES))
        raise UserError(
            f"{place}.quantity: unknown quantity {shown(name)}; allowed: {known}, or a numeric "
            "column of runs.csv"
        )
    if name == AT_EQUAL_KL and contrast.minus is None:
        raise UserError(f"{place}.minus: {name} compares two frontiers, so it needs `minus`")


def _check_side(quantity: str, side: Side, experiment: Experiment, place: str) -> None:
    if side.along == "training" and quantity not in (AT_EQUAL_KL, AREA):
        raise UserError(
            f"{place}: `along: training` is for {AT_EQUAL_KL} and {AREA}, not for {quantity}"
        )
    if quantity == LOST_AT_THE_WEAKEST and not find_method(side.method, place).strength_reduces_kl:
        raise UserError(f"{place}: a larger strength of {side.method} does not reduce the KL")
    if side.params and quantity not in OF_ALL_SETTINGS:
        count = len(matching_settings(side, experiment))
        if count > 1:
            raise UserError(
                f"{place}: {count} settings of {side.method} have {shown(side.params)}; "
                f"{quantity} is of one"
            )
    if known := AT_AN_OPTIMUM.get(quantity):
        task = experiment.tasks[side.task].task or side.task
        if task != "bandit" or side.method not in known:
            methods = " and ".join(known)
            raise UserError(f"{place}: {quantity} is known of {methods} on bandit alone")
