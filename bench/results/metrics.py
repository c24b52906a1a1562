"""Every metric of a run, declared once.

A new metric is an entry here and a line in `bench/evaluation/measure.py`: its column in runs.csv, its
place in the report's tables, its entry in the glossary and its line in docs/columns.md follow.
"""

from __future__ import annotations

from bench.results.columns import Metric

MEASURED = (
    Metric(
        "reward",
        "{source} reward",
        "What policies are measured by, mean over responses: the gold reward, or a judge's where "
        "nobody knows one.",
        higher_is_better=True,
        shown=("main", "terminal", "checkpoints"),
        has_sem=True,
        interval=True,
    ),
    Metric(
        "proxy_reward",
        "proxy reward",
        "The reward model's estimate, which methods learn from.",
        shown=("main", "checkpoints"),
        has_sem=True,
    ),
    Metric(
        "kl",
        "KL",
        "How far the policy moved from the SFT policy: the KL divergence of whole responses, the "
        "end token included. At 0 it is the SFT policy.",
        unit="nats",
        higher_is_better=False,
        shown=("main", "terminal", "checkpoints"),
        has_sem=True,
    ),
    Metric(
        "win_rate_sft",
        "win rate vs SFT",
        "Share of test prompts on which the response has more reward than the SFT policy's; ties "
        "count half.",
        format="percent",
        higher_is_better=True,
        shown=("main", "terminal"),
        has_sem=True,
    ),
    Metric(
        "response_tokens",
        "response tokens",
        "Mean length of the responses.",
        unit="tokens",
        format="tokens",
        shown=("main", "checkpoints"),
    ),
    Metric(
        "entropy",
        "entropy",
        "How varied the responses are: the entropy of the policy, summed over a response.",
        unit="nats",
        shown=("main", "checkpoints"),
    ),
    Metric(
        "distinct_2",
        "distinct-2",
        "Share of two-word sequences that are different.",
        shown=("main",),
    ),
    Metric(
        "ended_rate",
        "ended",
        "Share of responses that stopped by themselves.",
        format="percent",
        shown=("main",),
    ),
    Metric(
        "chosen_logp_change",
        "chosen log-probability",
        "Change of the mean log-probability of held-out chosen responses from the SFT policy.",
        unit="nats",
        shown=("checkpoints",),
    ),
    Metric(
        "rejected_logp_change",
        "rejected log-probability",
        "Change of the mean log-probability of held-out rejected responses from the SFT policy.",
        unit="nats",
        shown=("checkpoints",),
    ),
    Metric(
        "frontier_reward",
        "optimal reward",
        "The reward of the optimal frontier at the policy's KL: the most that any policy can have "
        "there.",
    ),
    Metric(
        "efficiency",
        "efficiency",
        "Gain over the SFT policy as a share of the optimal gain at the same KL. Above 100% the "
        "frontier is estimated too low; empty where the estimate cannot be trusted.",
        format="percent",
        higher_is_better=True,
        shown=("main", "terminal"),
        complete=True,
    ),
)
USAGE = (
    Metric(
        "labels",
        "labels",
        "Labels that the annotator gave to what the run learned from; of a privileged method each "
        "gold reward counts.",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "prompts_seen",
        "prompts seen",
        "Labels read, and prompts of which a response was rewarded, repeats included.",
        format="count",
        shown=("usage",),
    ),
    Metric(
        "responses_sampled",
        "responses sampled",
        "Responses that training sampled.",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "reward_calls",
        "reward calls",
        "Responses that the reward was asked for in training.",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "train_tokens",
        "training tokens",
        "Tokens that went forward with gradients on.",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "train_seconds",
        "training time",
        "Seconds of training.",
        unit="s",
        format="seconds",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "peak_memory_mb",
        "peak memory",
        "The most memory in use during training: of the process on a CPU, of the allocator on a "
        "GPU.",
        unit="MB",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
)
OF_PEOPLE = (
    Metric(
        "win_rate_chosen",
        "win rate vs chosen",
        "Share of test prompts on which the response has more reward than the one that people "
        "chose; ties count half.",
        format="percent",
        higher_is_better=True,
        has_sem=True,
    ),
    Metric(
        "implicit_accuracy",
        "implicit accuracy",
        "How often the policy's log-ratio to the SFT policy is higher for the response that was "
        "chosen, on held-out pairs.",
        format="percent",
        higher_is_better=True,
    ),
)
METRICS = (*MEASURED, *USAGE, *OF_PEOPLE)


def shown_in(place: str) -> list[Metric]:
    """Return the metrics that a table shows, in their order."""
    return [metric for metric in METRICS if place in metric.shown]
