"""The parts of the regret, against divergences by enumeration and by a soft Bellman recursion."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.frontiers import random_responses
from helpers.models import PROMPTS, SAMPLING

from bench.evaluation.enumeration import all_responses, model_logprobs
from bench.evaluation.optimal.frontier import OptimalFrontier
from bench.evaluation.optimal.regret import Regret, split_regret
from methods.core.models.policy import ModelPolicy
from methods.core.models.text import encode_prompts


@pytest.mark.parametrize("beta", [0.2, 1.0, 4.0])
def test_the_parts_of_the_regret_are_divergences(beta: float) -> None:
    gold, reference = random_responses()
    random = np.random.default_rng(4)
    proxy = gold + random.normal(size=gold.shape)
    logits = reference + random.normal(size=gold.shape)
    policy = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    def divergence(p: np.ndarray, q: np.ndarray) -> float:
        return float((p * (np.log(p) - np.log(q))).sum(1).mean())

    def mean(p: np.ndarray, values: np.ndarray) -> float:
        return float((p * values).sum(1).mean())

    def optimum(reward: np.ndarray) -> np.ndarray:
        tilted = np.exp(reference + reward / beta)
        return tilted / tilted.sum(1, keepdims=True)

    best, proxy_optimum = optimum(gold), optimum(proxy)
    kl = divergence(policy, np.exp(reference))
    frontier = OptimalFrontier.from_list(gold, reference)
    parts = split_regret(
        reward=mean(policy, gold),
        proxy_reward=mean(policy, proxy),
        kl=kl,
        beta=beta,
        frontier=frontier,
        proxy_frontier=frontier.of(proxy),
    )
    assert parts is not None
    assert parts.optimization_error == pytest.approx(
        beta * divergence(policy, proxy_optimum), abs=1e-6
    )
    assert parts.reward_model_error == pytest.approx(
        beta * divergence(proxy_optimum, best), abs=1e-6
    )
    assert parts.interaction == pytest.approx(-mean(policy - proxy_optimum, gold - proxy), abs=1e-6)
    assert sum(parts) == pytest.approx(beta * divergence(policy, best), abs=1e-6)
    # Trained on gold, a policy has no reward-model error.
    alone, same = (
        split_regret(
            reward=mean(policy, gold),
            proxy_reward=mean(policy, gold),
            kl=kl,
            beta=beta,
            frontier=frontier,
            proxy_frontier=proxy_frontier,
        )
        for proxy_frontier in (None, frontier)
    )
    assert alone is not None and same is not None
    assert alone == pytest.approx(same, abs=1e-9)
    assert sum(alone) == pytest.approx(sum(parts), abs=1e-6)


def test_there_is_no_regret_where_the_frontier_does_not_reach_the_optimum() -> None:
    random = np.random.default_rng(5)
    frontier = OptimalFrontier.from_samples(random.normal(size=(24, 3000)))

    def parts(beta: float, proxy_frontier: OptimalFrontier | None) -> Regret | None:
        return split_regret(
            reward=1.0,
            proxy_reward=1.0,
            kl=1.0,
            beta=beta,
            frontier=frontier,
            proxy_frontier=proxy_frontier,
        )

    assert parts(0.05, None) is None
    assert parts(2.0, frontier.of(40 * frontier.rewards)) is None
    assert parts(2.0, frontier) is not None


class Bellman:
    """Values of prefixes, for a prompt: V(s) = beta log sum_a ref(a | s) exp(V(s a) / beta).

    Next-token probabilities one prefix at a time, without padding, from the models in float64.
    """

    def __init__(self, policy: ModelPolicy, reference: ModelPolicy, prompt: str) -> None:
        self.end = reference.tokenizer.eos_token_id
        self.prompt = encode_prompts(reference.tokenizer, [prompt])[0]
        self.models = [reference.model, policy.model]
        self.tables: dict[tuple[int, ...], list[np.ndarray]] = {}

    def next_token(self, prefix: tuple[int, ...]) -> list[np.ndarray]:
        if prefix not in self.tables:
            ids = torch.tensor([[*self.prompt, *prefix]])
            with torch.no_grad():
                tables = [model(ids).logits[0, -1].double() for model in self.models]
            self.tables[prefix] = [table.log_softmax(-1).numpy() for table in tables]
        return self.tables[prefix]

    def terminal(self, prefix: tuple[int, ...]) -> bool:
        return len(prefix) == SAMPLING.max_new_tokens or prefix[-1:] == (self.end,)

    def value(self, prefix: tuple[int, ...], beta: float, reward: dict) -> float:
        if self.terminal(prefix):
            return float(reward[prefix])
        ref, _ = self.next_token(prefix)
        below = [self.value((*prefix, a), beta, reward) for a in range(len(ref))]
        return float(beta * np.logaddexp.reduce(ref + np.array(below) / beta))

    def divergence(
        self, p: str, q: str, prefix: tuple[int, ...], beta: float, rewards: dict
    ) -> float:
        """KL(p || q) over what follows the prefix, step by step."""
        if self.terminal(prefix):
            return 0.0
        ours, theirs = (self.next_token_logprobs(name, prefix, beta, rewards) for name in (p, q))
        return sum(
            math.exp(ours[a])
            * (ours[a] - theirs[a] + self.divergence(p, q, (*prefix, a), beta, rewards))
            for a in range(len(ours))
        )

    def next_token_logprobs(
        self, name: str, prefix: tuple[int, ...], beta: float, rewards: dict
    ) -> np.ndarray:
        """Return those of the reference, the policy, or the optimal policy of a reward."""
        ref, own = self.next_token(prefix)
        if name in ("reference", "policy"):
            return ref if name == "reference" else own
        below = np.array([self.value((*prefix, a), beta, rewards[name]) for a in range(len(ref))])
        return ref + (below - self.value(prefix, beta, rewards[name])) / beta


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_optimum_and_regret_against_a_soft_bellman_recursion(
    reference: ModelPolicy, other: ModelPolicy, beta: float
) -> None:
    tokenizer = reference.tokenizer
    listed = all_responses(len(tokenizer), tokenizer.eos_token_id, SAMPLING.max_new_tokens)
    ref, own = (model_logprobs(policy, PROMPTS, SAMPLING) for policy in (reference, other))
    random = np.random.default_rng(0)
    gold = random.normal(size=ref.shape)
    proxy = gold + 0.7 * random.normal(size=ref.shape)
    probabilities = np.exp(own)
    frontier = OptimalFrontier.from_list(gold, ref)

    def mean(values: np.ndarray) -> float:
        return float((probabilities * values).sum(1).mean())

    optimum, kl, regret, optimization_error, reward_model_error = np.zeros(5)
    for i, prompt in enumerate(PROMPTS):
        tree = Bellman(other, reference, prompt)
        rewards = {
            "gold": dict(zip(listed, gold[i], strict=True)),
            "proxy": dict(zip(listed, proxy[i], strict=True)),
        }

        def divergence(p: str, q: str, tree: Bellman = tree, rewards: dict = rewards) -> float:
            return tree.divergence(p, q, (), beta, rewards)

        optimum += tree.value((), beta, rewards["gold"]) / len(PROMPTS)
        kl += divergence("gold", "reference") / len(PROMPTS)
        regret += beta * divergence("policy", "gold") / len(PROMPTS)
        optimization_error += beta * divergence("policy", "proxy") / len(PROMPTS)
        reward_model_error += beta * divergence("proxy", "gold") / len(PROMPTS)
    assert frontier.optimum(beta) == pytest.approx(optimum, abs=1e-6)
    assert frontier.kl(beta) == pytest.approx(kl, abs=1e-6)
    metrics = {"reward": mean(gold), "proxy_reward": mean(proxy), "kl": mean(own - ref)}
    parts = split_regret(**metrics, beta=beta, frontier=frontier, proxy_frontier=frontier.of(proxy))
    assert parts is not None
    assert sum(parts) == pytest.approx(regret, abs=1e-6)
    objective = metrics["reward"] - beta * metrics["kl"]
    assert frontier.optimum(beta) - objective == pytest.approx(regret, abs=1e-6)
    assert parts.optimization_error == pytest.approx(optimization_error, abs=1e-6)
    assert parts.reward_model_error == pytest.approx(reward_model_error, abs=1e-6)
    proxy_optimum, _ = frontier.of(proxy).tilt(beta)
    interaction = -float(((probabilities - proxy_optimum) * (gold - proxy)).sum(1).mean())
    assert parts.interaction == pytest.approx(interaction, abs=1e-6)
