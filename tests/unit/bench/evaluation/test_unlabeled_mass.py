"""The mass of responses without labels, against sums over labels and over pairs of draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from bench.cache.store import Store
from bench.evaluation.enumeration import all_texts, model_logprobs
from bench.evaluation.measure import measure, unlabeled_responses
from bench.evaluation.reference_samples import ReferenceSamples
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.base import Split
from bench.tasks.exact import PROMPTS, Exact
from bench.tasks.labeling import ResponseSource
from methods.best_of_n import BestOfNPolicy
from methods.core.feedback import responses_of
from methods.core.models.policy import Policy
from methods.core.models.sampling import SamplingParams

SAMPLING = SamplingParams(max_new_tokens=2)


@dataclass(frozen=True)
class Split4(Exact):
    """Labels are about the first four prompts, the evaluation is about the others."""

    def prompts(self, split: Split) -> list[str]:
        return list(PROMPTS[:4] if split == "train" else PROMPTS[4:])


def samples_of(task: Exact, folder: Path) -> ReferenceSamples:
    pipeline = EmbeddedPipeline(task, 0, "cpu", Store(folder))
    pipeline.prepare()
    samples = ReferenceSamples(pipeline, SAMPLING, frontier_samples=8)
    samples.make()
    return samples


@pytest.fixture(scope="module")
def samples(tiny_exact: Exact, tmp_path_factory: pytest.TempPathFactory) -> ReferenceSamples:
    task = replace(tiny_exact, length=2, response_source=ResponseSource(coverage=0.5))
    return samples_of(task, tmp_path_factory.mktemp("unlabeled"))


def labeled(samples: ReferenceSamples) -> dict[str, set[str]]:
    """Return the labeled responses of each prompt."""
    texts: dict[str, set[str]] = {prompt: set() for prompt in PROMPTS}
    for pair in samples.pipeline.feedback("pairs"):
        texts[pair.prompt] |= set(responses_of(pair))
    return texts


def mass(samples: ReferenceSamples, policy: Policy) -> float:
    return float(measure(samples, policy, "test", 2).metrics["unlabeled_mass"])


def test_it_is_what_the_labeled_responses_leave(samples: ReferenceSamples) -> None:
    policy = samples.pipeline.sft()
    left = []
    for prompt, texts in labeled(samples).items():
        known: Sequence[str] = sorted(texts)
        left.append(1 - np.exp(policy.logprobs([prompt] * len(known), known, SAMPLING)).sum())
    assert mass(samples, policy) == pytest.approx(np.mean(left), abs=1e-5)
    # Half of the first letters are without labels, and some responses of the other half.
    assert 0.3 < mass(samples, policy) < 0.95


def test_of_best_of_2_it_is_a_sum_over_pairs_of_draws(samples: ReferenceSamples) -> None:
    pipeline = samples.pipeline
    policy, reward = pipeline.sft(), pipeline.reward_model()
    texts = all_texts(policy.tokenizer, 2)
    probabilities = np.exp(model_logprobs(policy, list(PROMPTS), SAMPLING))
    left = []
    for row, (prompt, known) in zip(probabilities, labeled(samples).items(), strict=True):
        rewards = reward([prompt] * len(texts), texts)
        unknown = [text not in known for text in texts]
        total = 0.0
        for i, j in product(range(len(texts)), repeat=2):
            first = 0.5 if rewards[i] == rewards[j] else float(rewards[i] > rewards[j])
            total += row[i] * row[j] * (first * unknown[i] + (1 - first) * unknown[j])
        left.append(total)
    best_of_2 = BestOfNPolicy(policy, reward, 2)
    assert mass(samples, best_of_2) == pytest.approx(np.mean(left), abs=1e-5)


def test_it_is_empty_where_the_test_prompts_have_no_labels(
    tiny_exact: Exact, tmp_path: Path
) -> None:
    options = {name: getattr(tiny_exact, name) for name in ("labels", "architecture", "sft")}
    small = {"pretraining": tiny_exact.pretraining, "reward_model": tiny_exact.reward_model}
    samples = samples_of(Split4(length=2, **options, **small), tmp_path)
    assert unlabeled_responses(samples.pipeline) is None
    metrics = measure(samples, samples.pipeline.sft(), "test", 2).metrics
    assert "unlabeled_mass" not in metrics and metrics["reward"] is not None
