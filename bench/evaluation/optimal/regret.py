"""What a policy's regret is made of: optimization error, reward-model error, and their interaction.

With the gold reward r, J(pi) = E[r] - beta KL(pi || ref) has the optimum pi* = ref exp(r / beta)
/ Z, and J* - J(pi) = beta KL(pi || pi*). With a learned reward s for r the optimum is pi^, and

    J* - J(pi) = beta KL(pi || pi^)      optimization error: how far pi is from the optimum for s
               + beta KL(pi^ || pi*)     reward-model error: how far that is from the optimum for r
               - <pi - pi^, r - s>       interaction: errors of s that pi escaped, or found

Each part needs only expectations of r, s and the KL under pi, and the reference's responses.
"""

from __future__ import annotations

from typing import NamedTuple

from bench.evaluation.optimal.frontier import OptimalFrontier


class Regret(NamedTuple):
    """Parts of J* - J(pi), in units of reward. The first two are never negative but for noise."""

    optimization_error: float
    reward_model_error: float
    interaction: float


def split_regret(
    *,
    reward: float,
    proxy_reward: float,
    kl: float,
    beta: float,
    frontier: OptimalFrontier,
    proxy_frontier: OptimalFrontier | None,
) -> Regret | None:
    """Split the regret of a policy.

    Args:
        reward: The policy's mean gold reward.
        proxy_reward: Its mean learned reward, in units of the gold reward.
        kl: Its KL to the reference (nats).
        beta: The KL strength, in units of gold reward per nat.
        frontier: Of the gold reward.
        proxy_frontier: Of the learned reward on the same responses; None where the policy was
            trained on gold.

    Returns:
        The parts; None where an optimum lies beyond the KL to which its frontier can be trusted.
    """
    if beta <= 0 or frontier.kl(beta) > frontier.largest_kl:
        return None
    optimum = frontier.optimum(beta)
    if proxy_frontier is None:
        return Regret(optimum - (reward - beta * kl), 0.0, 0.0)
    point = proxy_frontier.point(beta)
    if point.kl > proxy_frontier.largest_kl:
        return None
    proxy_optimum, log_z = proxy_frontier.tilt(beta)
    gold_there = float((proxy_optimum * frontier.rewards).sum(1).mean())
    return Regret(
        optimization_error=beta * log_z - (proxy_reward - beta * kl),
        reward_model_error=optimum - beta * log_z - (gold_there - point.reward),
        interaction=(gold_there - point.reward) - (reward - proxy_reward),
    )
