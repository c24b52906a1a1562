"""What policies return is checked, and a subclass of the model policy is asked, not its model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.models import PROMPTS, SAMPLING

from methods.best_of_n import BestOfNPolicy
from methods.core.models.outputs import OutputError, logprobs_of, model_of, responses_of
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.models.sampling import SamplingParams

RESPONSES = ["a </answer>", "b", "c"]


class Returns(Policy):
    """A policy that returns what it is told."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> Any:
        return self.value

    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> Any:
        return self.value

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path, device: str) -> Returns:
        return cls(None)


class Longest(ModelPolicy):
    """The longest of four responses."""

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        drawn = [super(Longest, self).generate(prompts, seed + i, sampling) for i in range(4)]
        return [max(texts, key=len) for texts in zip(*drawn, strict=True)]


class Scored(Longest):
    """The same, with log-probabilities of its own."""

    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> list[float]:
        return [-1.0] * len(responses)


class Noted(ModelPolicy):
    """It only adds to the model policy."""

    note = "none of the harness's business"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (["a", "b"], "Returns.generate must return one value for each of 3 prompts, not 2"),
        (["a"] * 4, "one value for each of 3 prompts, not 4"),
        ([], "one value for each of 3 prompts, not 0"),
        (None, "must return a list, not a NoneType"),
        ("abc", "must return a list, not a str"),
        (7, "must return a list, not a int"),
        (["a", None, "b"], "must return texts; response 1 is of type NoneType"),
        (["a", "b", b"c"], "must return texts; response 2 is of type bytes"),
        ([["a"], "b", "c"], "must return texts; response 0 is of type list"),
    ],
)
def test_responses_that_are_not_one_text_for_each_prompt_are_refused(
    value: Any, complaint: str
) -> None:
    with pytest.raises(OutputError, match=r"Returns\.generate") as caught:
        responses_of(Returns(value), PROMPTS, 0, SAMPLING)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([-1.0, -2.0], "Returns.logprobs must return one value for each of 3 responses, not 2"),
        ([-1.0] * 4, "one value for each of 3 responses, not 4"),
        (-1.0, "must return a list, not a float"),
        ([-1.0, None, -1.0], "must return numbers, or None for all; value 1 is of type NoneType"),
        ([-1.0, "-1", -1.0], "value 1 is of type str"),
        ([True, -1.0, -1.0], "value 0 is of type bool"),
        (torch.zeros(3), "value 0 is of type Tensor"),
        ([-1.0, -1.0, float("nan")], "finite log-probabilities of at most 0; value 2 is nan"),
        ([-1.0, float("-inf"), -1.0], "value 1 is -inf"),
        ([0.5, -1.0, -1.0], "value 0 is 0.5"),
    ],
)
def test_log_probabilities_that_are_none_are_refused(value: Any, complaint: str) -> None:
    with pytest.raises(OutputError, match=r"Returns\.logprobs") as caught:
        logprobs_of(Returns(value), PROMPTS, RESPONSES, SAMPLING)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("wrap", [list, tuple, np.array, lambda values: iter(values)])
def test_any_list_of_the_right_values_will_do(wrap: Callable[[Any], Any]) -> None:
    assert responses_of(Returns(wrap(["a", "b", "c"])), PROMPTS, 0, SAMPLING) == ["a", "b", "c"]
    logprobs = logprobs_of(Returns(wrap([-1.0, -2.0, 1e-5])), PROMPTS, RESPONSES, SAMPLING)
    assert logprobs == [-1.0, -2.0, 1e-5]
    assert logprobs_of(Returns(None), PROMPTS, RESPONSES, SAMPLING) is None


def test_a_subclass_is_its_model_unless_it_samples_or_scores_otherwise(
    reference: ModelPolicy,
) -> None:
    model, tokenizer = reference.model, reference.tokenizer
    longest, scored = Longest(model, tokenizer), Scored(model, tokenizer)
    noted = Noted(model, tokenizer)
    assert model_of(reference) is reference and model_of(noted) is noted
    assert model_of(longest) is model_of(scored) is None
    assert model_of(BestOfNPolicy(reference, None, 2)) is None  # type: ignore[arg-type]
    patched = ModelPolicy(model, tokenizer)
    patched.generate = lambda *_: ["x"] * 3  # type: ignore[method-assign]
    assert model_of(patched) is None
    assert responses_of(patched, PROMPTS, 0, SAMPLING) == ["x"] * 3
    # Its own responses, whose log-probabilities are not the model's.
    assert responses_of(longest, PROMPTS, 0, SAMPLING) == longest.generate(PROMPTS, 0, SAMPLING)
    assert logprobs_of(longest, PROMPTS, RESPONSES, SAMPLING) is None
    assert logprobs_of(scored, PROMPTS, RESPONSES, SAMPLING) == [-1.0] * 3
    assert logprobs_of(reference, PROMPTS, RESPONSES, SAMPLING) == reference.logprobs(
        PROMPTS, RESPONSES, SAMPLING
    )
