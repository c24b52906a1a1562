"""The schema of a results folder: every table and every column, declared once.

Writers and readers import it; metrics are declared in `bench/results/metrics.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.results.columns import Column, Table
from bench.results.metrics import MEASURED, METRICS, OF_PEOPLE, USAGE, shown_in

# An opponent that is no method: the response that people chose for the prompt.
CHOSEN = "chosen"


def _text(name: str, help: str, **rules: Any) -> Column:  # noqa: A002 (as the column calls it)
    return Column(name, help, "text", **rules)


TASK = _text("task", "The task's name in the experiment.", missing="nothing")
METHOD = _text("method", "The method's name.", missing="nothing")
PARAMS = _text(
    "params", "The hyper-parameters that the experiment varies, as JSON.", missing="cell"
)
STRENGTH = Column("strength", "Value of the hyper-parameter that trades reward against KL.")
SEED = Column("seed", "The seed; all methods share its stages.", missing="nothing", whole=True)
SPLIT = _text(
    "split",
    "The prompts that were answered: validation or test.",
    missing="nothing",
    allowed=("train", "validation", "test"),
)
PROMPT = _text("prompt", "The prompt; one of several turns is JSON.", missing="cell")
RUN = (TASK, METHOD, PARAMS, SEED)
BY_NAME = {metric.name: metric.column for metric in METRICS}
JOBS_ON_DEVICE = Column(
    "jobs_on_device",
    "How many jobs could run on the device at once while the policy was trained: with 1, time and "
    "memory are its own.",
)
REWARD_SOURCE = _text(
    "reward_source", "Source of the reward: gold or judge.", allowed=("gold", "judge")
)
RESPONSE = _text("response", "The response, its end token included.", missing="cell")
PROMPT_NUMBER = Column("prompt", "Number of the test prompt.", missing="nothing", whole=True)
STEP = Column("step", "Training examples or episodes so far.", missing="cell", whole=True)


def _run_columns() -> list[Column]:
    measured = [column for metric in MEASURED for column in metric.columns()]
    measured[0] = replace(BY_NAME["reward"], missing="cell")
    measured.insert(2, REWARD_SOURCE)
    usage = [column for metric in USAGE for column in metric.columns()]
    people = [column for metric in OF_PEOPLE for column in metric.columns()]
    return [*measured, *usage, _text("device", "cpu or cuda."), JOBS_ON_DEVICE, *people]


RUNS = Table(
    "runs.csv",
    "A row for each task, method, setting, seed and split; failed runs included.",
    (
        *(TASK, METHOD, PARAMS, STRENGTH, SEED, SPLIT),
        _text(
            "status",
            "ok, failed or diverged.",
            missing="nothing",
            allowed=("ok", "failed", "diverged"),
        ),
        _text("error", "The reason why the run is not ok."),
        *_run_columns(),
    ),
)
METHODS = Table(
    "methods.csv",
    "A row for each task and method: what the method is and how it was set.",
    (
        *(TASK, METHOD),
        _text("title", "The method in a line."),
        _text("learns_from", "pairs, choices, rankings, unpaired, reward, gold or none."),
        _text("strength", "The hyper-parameter that trades reward against KL."),
        _text("authors", "Who published it, with the year."),
        _text("paper", "Where it was published."),
        _text("fixed", "Hyper-parameters that did not vary, as JSON."),
        _text("tried", "Values tried of those that varied, as JSON."),
    ),
)
CURVES = Table(
    "curves.csv",
    "Training curves that the methods log. They are no results.",
    (
        *RUN,
        STEP,
        _text("metric", "Name of the logged number.", missing="nothing"),
        Column("value", "Its value.", missing="cell"),
    ),
)
FRONTIER = Table(
    "frontier.csv",
    "Points along the optimal frontier of each task and seed.",
    (
        *(TASK, SEED, Column("kl", "KL to the SFT policy (nats).", missing="nothing")),
        Column("reward", "The best expected reward at that KL.", missing="nothing"),
        Column(
            "effective_samples",
            "Effective samples for each prompt (Kish's formula); empty where it is exact.",
        ),
    ),
)
STAGES = Table(
    "stages.csv",
    "The stages that all methods share, for each task and seed.",
    (
        *(TASK, SEED, _text("stage", "The stage's name.", missing="nothing")),
        Column("seconds", "Time to make the stage (s)."),
        Column("reward_accuracy", "How often a reward model agrees with gold, or with people."),
        Column(
            "label_accuracy",
            "How often a reward model agrees with a simulated annotator on held-out pairs.",
        ),
        Column("pairs", "Number of held-out labels of people."),
        Column("accuracy_low", "Lower end of the accuracy's 95% interval."),
        Column("accuracy_high", "Its upper end."),
        Column("both_wrong", "Share of held-out pairs that judge and reward model get wrong."),
        Column("error_correlation", "Correlation of their errors (phi coefficient)."),
        Column("error_correlation_low", "Lower end of its 95% interval."),
        Column("error_correlation_high", "Its upper end."),
        Column(
            "margin_correlation",
            "Correlation of their margins between the chosen and the rejected response.",
        ),
        Column("margin_correlation_low", "Lower end of its 95% interval."),
        Column("margin_correlation_high", "Its upper end."),
    ),
)
HEAD_TO_HEAD = Table(
    "head_to_head.csv",
    "Win rates of the selected settings against each other, prompt by prompt.",
    (
        *(TASK, SEED, PROMPT_NUMBER, METHOD),
        _text(
            "opponent",
            f"A method, or `{CHOSEN}`: the responses that people chose.",
            missing="nothing",
        ),
        Column(
            "win_rate",
            "How often the method's response has more reward; ties count half.",
            missing="cell",
        ),
        Column("tokens", "Mean length of the method's responses."),
        Column("opponent_tokens", "Mean length of the opponent's."),
    ),
)
REGRET = Table(
    "regret.csv",
    "Share of the best objective J = E[reward] - strength KL that a run reached, and what its "
    "regret is made of.",
    (
        *(TASK, METHOD, PARAMS, STRENGTH, SEED),
        Column("objective", "J of the policy."),
        Column("optimum", "The best J at that strength."),
        Column("reference", "J of the SFT policy."),
        Column("share", "(objective - reference) / (optimum - reference)."),
        Column("optimization_error", "How far the policy is from the reward model's optimum."),
        Column("reward_model_error", "How far that optimum is from the gold reward's."),
        Column("interaction", "What the two errors add to each other, or cancel."),
    ),
)
OPTIMUM = Table(
    "optimum.csv",
    "The optimum at each policy's KL: how long it is, and how much of its modes the policy has.",
    (
        *(*RUN, BY_NAME["kl"], BY_NAME["response_tokens"]),
        Column("optimum_tokens", "Mean length of the optimum's responses."),
        Column(
            "mode_mass",
            "The policy's probability of the fewest responses that hold half of the optimum.",
        ),
        Column("optimum_mode_mass", "The optimum's probability of them."),
    ),
)
CHECKPOINTS = Table(
    "checkpoints.csv",
    "The policies on their way: a few of each training, the final one last.",
    (
        *(TASK, METHOD, PARAMS, STRENGTH, SEED),
        STEP,
        *(metric.column for metric in shown_in("checkpoints")),
    ),
)
TEMPERATURES = Table(
    "temperatures.csv",
    "Reward and win rate at other sampling temperatures.",
    (
        *(*RUN, Column("temperature", "Of sampling; 0 is greedy.")),
        *(BY_NAME["reward"], BY_NAME["win_rate_sft"]),
    ),
)
SAMPLES = Table(
    "samples.parquet",
    "Sampled responses.",
    (
        *(*RUN, SPLIT, PROMPT, RESPONSE),
        *(BY_NAME[name] for name in ("reward", "proxy_reward", "kl", "response_tokens")),
    ),
)
PAIRS = Table(
    "pairs.parquet",
    "Held-out preferences of people, of recorded data alone.",
    (
        *(TASK, SPLIT, PROMPT),
        _text(CHOSEN, "The response that people chose.", missing="cell"),
        _text("rejected", "The other one.", missing="cell"),
    ),
)
LLM_JUDGE = Table(
    "llm_judge.csv",
    "Verdicts of language models on the selected settings, and on people's own pairs (no seed).",
    (
        _text("judge", "The language model.", missing="nothing"),
        *(TASK, METHOD, PARAMS, replace(SEED, missing="cell")),
        _text(
            "opponent",
            "sft, chosen or rejected.",
            missing="nothing",
            allowed=("sft", CHOSEN, "rejected"),
        ),
        Column("prompts", "Comparisons."),
        Column("wins", "Comparisons that the method won."),
        Column("ties", "Comparisons that neither won."),
        Column("losses", "Comparisons that the opponent won."),
        Column("unparsable", "Comparisons with an answer that cannot be read."),
        Column("failed", "Comparisons without an answer."),
        Column("win_rate", "Mean over both orders; ties count half."),
        Column("win_rate_sem", "Its standard error over prompts."),
        Column("win_rate_lc", "The win rate at equal length."),
        Column("first_preferred", "Share of answers that prefer the response shown first."),
        Column("consistent", "Share of comparisons in which both orders agree."),
        Column("calls", "Requests made."),
        Column("cached", "Answers that were known already."),
        Column("prompt_tokens", "Tokens that the judge read."),
        Column("completion_tokens", "Tokens that it wrote."),
        Column("cost", "Dollars."),
    ),
)
TABLES = (
    *(RUNS, METHODS, HEAD_TO_HEAD, FRONTIER, REGRET, OPTIMUM, CHECKPOINTS, TEMPERATURES),
    *(CURVES, STAGES, SAMPLES, PAIRS, LLM_JUDGE),
)
