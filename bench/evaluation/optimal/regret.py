"""The regret of a policy, split into optimization error, reward-model error and interaction.

With the gold reward r, J(pi) = E_pi[r] - beta KL(pi || ref) is largest, J*, for pi* = ref
exp(r / beta) / Z (Korbak et al., 2022), and the regret is J* - J(pi) = beta KL(pi || pi*). With the
proxy reward s in place of r the optimal policy is pi^, and

    J* - J(pi) = beta KL(pi || pi^)      optimization error: distance from the optimum for s
               + beta KL(pi^ || pi*)     reward-model error: distance of that from the one for r
               - <pi - pi^, r - s>       interaction: errors of s that pi avoids, or exploits

All parts follow from the expectations of r, s and the KL under pi, and the reference samples.
"""

from __future__ import annotations

from typing import NamedTuple

from bench.evaluation.optimal.frontier import OptimalFrontier


class Regret(NamedTuple):
    """The parts of the regret J* - J(pi), in units of the gold reward.

    Attributes:
        optimization_error: Never negative, but for sampling error.
        reward_model_error: Never negative, but for sampling error.
        interaction: Of either sign.
    """

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
        proxy_reward: The policy's mean proxy reward, in units of the gold reward.
        kl: The policy's KL to the reference (nats).
        beta: The KL strength, in units of the gold reward per nat.
        frontier: The optimal frontier of the gold reward.
        proxy_frontier: That of the proxy reward, in units of the gold reward, on the same
            responses; None where the policy was trained on gold.

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
    # r - s under pi^.
    underrated = float((proxy_optimum * frontier.rewards).sum(1).mean()) - point.reward
    return Regret(
        optimization_error=beta * log_z - (proxy_reward - beta * kl),
        reward_model_error=optimum - beta * log_z - underrated,
        interaction=underrated - (reward - proxy_reward),
    )
