"""Where the gap comes from: a policy's regret, split between its optimizer and its signal.

With the gold reward r, J(pi) = E[r] - beta KL(pi || ref) has the optimum pi* = ref exp(r / beta)
/ Z, and J* - J(pi) = beta KL(pi || pi*). With a learned reward s for r the optimum is pi^, and

    J* - J(pi) = beta KL(pi || pi^)      the optimizer's part: how far from what s asks for
               + beta KL(pi^ || pi*)     the signal's part: how wrong that is
               - <pi - pi^, r - s>       where they meet: errors of s that pi escaped, or found

Each part needs only expectations of r, s and the KL under pi, and the reference's responses.
"""

from __future__ import annotations

from typing import NamedTuple

from bench.evaluation.frontier import Limit


class Regret(NamedTuple):
    """Parts of J* - J(pi), in units of reward. The first two are never negative but for noise."""

    optimizer: float
    signal: float
    meeting: float


def split_regret(
    gold: float, proxy: float, kl: float, beta: float, limit: Limit, learned: Limit | None
) -> Regret | None:
    """Split the regret of a policy with this mean gold and proxy reward and KL at strength beta.

    limit: of the gold reward. learned: that of the learned reward on the same responses, or None
    where the policy was trained on gold. Returns None where an optimum lies beyond the KL to which
    its limit can be trusted.
    """
    if beta <= 0 or limit.kl(beta) > limit.largest_kl:
        return None
    optimum = limit.optimum(beta)
    if learned is None:
        return Regret(optimum - (gold - beta * kl), 0.0, 0.0)
    its_kl, its_proxy, _ = learned.point(beta)
    if its_kl > learned.largest_kl:
        return None
    asked_for, log_z = learned.tilt(beta)
    its_gold = float((asked_for * limit.rewards).sum(1).mean())
    return Regret(
        optimizer=beta * log_z - (proxy - beta * kl),
        signal=optimum - beta * log_z - (its_gold - its_proxy),
        meeting=(its_gold - its_proxy) - (gold - proxy),
    )
