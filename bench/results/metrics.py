"""Every metric of a run, declared once.

A new metric is an entry here and a line in `bench/evaluation/measure.py`: its column in runs.csv,
its place in the report's tables, its entry in the glossary and its line in docs/columns.md follow.
"""

from __future__ import annotations

from bench.results.columns import Metric

MEASURED = (
    Metric(
        "reward",
        "{source} reward",
        "Mean {source} reward of the responses.",
        higher_is_better=True,
        shown=("main", "terminal", "checkpoints"),
        has_sem=True,
        interval=True,
    ),
    Metric(
        "proxy_reward",
        "proxy reward",
        "Mean reward of the responses by the reward model, which methods learn from.",
        shown=("main", "checkpoints"),
        has_sem=True,
    ),
    Metric(
        "kl",
        "KL",
        "KL divergence of the policy from the SFT policy, over whole responses, the end token "
        "included. It is 0 for the SFT policy.",
        unit="nats",
        higher_is_better=False,
        shown=("main", "terminal", "checkpoints"),
        has_sem=True,
    ),
    Metric(
        "win_rate_sft",
        "win rate vs SFT",
        "Share of test prompts on which the response has more reward than the SFT policy's; ties "
        "count half. It is 50% for the SFT policy itself, by definition.",
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
        "Entropy of the policy, summed over a response: how varied the responses are.",
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
        "unlabeled_mass",
        "unlabeled mass",
        "Probability of the responses that no training label is about. Only where all responses "
        "can be listed and the labels are about the test prompts.",
        format="percent",
        shown=("checkpoints",),
    ),
    Metric(
        "frontier_reward",
        "optimal reward",
        "Reward of the optimal frontier at the policy's KL: the highest that any policy can have "
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
        "Labels of the annotator that the run learned from. For a privileged method, each "
        "reward that it was given counts as one.",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "prompts_seen",
        "prompts seen",
        "Labels read, and prompts whose response got a reward, repeats included.",
        format="count",
        shown=("usage",),
    ),
    Metric(
        "responses_sampled",
        "responses sampled",
        "Responses sampled in training.",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "reward_calls",
        "reward calls",
        "Responses that got a reward in training.",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "train_tokens",
        "training tokens",
        "Tokens of the forward passes with gradients.",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "train_seconds",
        "training time",
        "Duration of the training.",
        unit="s",
        format="seconds",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "peak_memory_mb",
        "peak memory",
        "The most memory that the training added, with all models that it loads: to the process "
        "on a CPU (to some tens of MB), to the allocator on a GPU.",
        unit="MB",
        format="count",
        higher_is_better=False,
        shown=("usage",),
    ),
    Metric(
        "micro_batch_halvings",
        "smaller micro-batches",
        "How often the training ran out of memory, halved its micro-batches and repeated the step.",
        format="count",
        higher_is_better=False,
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
