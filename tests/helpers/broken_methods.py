"""Plug-ins that are broken on purpose, one for each check of `prefrontier check`.

Each has one fault. `BROKEN` maps each check to the plug-in that must fail it. The plug-in for
`light_import` is in broken_heavy.py, which imports torch.
"""

from __future__ import annotations

from helpers.broken_exceptions import Raises
from helpers.broken_losses import MixesRows, ReturnsTheMean, RewardsTheFall
from helpers.broken_policies import AnswersOnce, ForgetsToSave, SeesBatch, SeesPadding, Sharpens
from helpers.broken_settings import (
    ExcusesItself,
    GridOfNothing,
    NeedsArgument,
    NotHashable,
    NotPlain,
)
from helpers.broken_side_effects import (
    ChangesData,
    ChangesItself,
    ChangesProcess,
    ChangesReference,
    DrawsFromAll,
    WritesElsewhere,
)
from helpers.broken_strength import FlipsKL, MovesLittle
from helpers.broken_training import (
    CallsTheGenerator,
    ChangesForNothing,
    DrawsUnseeded,
    IgnoresLabels,
    IgnoresSeed,
    LearnsNothing,
    LogsNan,
    Overspends,
    StartsTwice,
)

from methods.base import Method

BROKEN: dict[str, type[Method]] = {
    "default_constructible": NeedsArgument,
    "hashable": NotHashable,
    "settings_are_plain": NotPlain,
    "grid_names_fields": GridOfNothing,
    "expected_failures_are_checks": ExcusesItself,
    "one_loss_for_each_label": ReturnsTheMean,
    "losses_are_separate": MixesRows,
    "first_step_raises_chosen": RewardsTheFall,
    "raises_nothing": Raises,
    "learns": LearnsNothing,
    "learns_the_reverse": IgnoresLabels,
    "saves_and_loads": ForgetsToSave,
    "answers_every_prompt": AnswersOnce,
    "samples_by_its_logprobs": Sharpens,
    "independent_of_padding": SeesPadding,
    "independent_of_batch": SeesBatch,
    "moves": MovesLittle,
    "more_strength_less_kl": FlipsKL,
    "leaves_itself": ChangesItself,
    "leaves_data": ChangesData,
    "leaves_reference": ChangesReference,
    "leaves_random_state": DrawsFromAll,
    "leaves_process": ChangesProcess,
    "writes_in_workdir": WritesElsewhere,
    "same_seed_same_policy": DrawsUnseeded,
    "other_seed_other_policy": IgnoresSeed,
    "offline_asks_nothing": CallsTheGenerator,
    "keeps_to_the_budget": Overspends,
    "no_budget_no_change": ChangesForNothing,
    "resumes": StartsTwice,
    "losses_are_finite": LogsNan,
}
