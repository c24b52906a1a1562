"""Sentences on what training cost, unequal effort, and grids that end too early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.analysis.agreement import weaker_reward
from bench.analysis.contrasts import with_verdict
from bench.analysis.effort import settings_tried
from bench.analysis.selection import Edge, edges, selected_rows
from bench.analysis.usage import (
    BEST_OF_N,
    alike,
    reward_model_seconds,
    setting_reaching,
    training_amounts,
)
from bench.report.content.display import count, listed, number, parameter, percent, seconds, setting
from bench.results.loading import Results

# More names than this are counted, not listed.
MOST_NAMES = 3
# Of more different amounts, only the least, the most and those of the first contrast are listed.
MOST_AMOUNTS = 3
# Cost limits its n, so it is expected to have fewer settings, and the best n to be the largest.
COSTLY = (BEST_OF_N, "largest")
# Training that takes less is none (s).
NO_TRAINING = 0.1


def cost_sentence(results: Results, task: str, best: str) -> str:
    """Return what training of the best method and of those of the first contrast cost per seed."""
    rows = selected_rows(results.runs, task)
    grouped = rows.groupby("method")
    durations, asked = grouped["train_seconds"].median(), grouped["labels"].median()
    methods = [m for m in dict.fromkeys([best, *_contrasted(results, task)[:2]]) if m != "sft"]
    known = [method for method in methods if method in durations.index]
    if not known:
        return ""
    times = {method: _training(float(durations[method])) for method in known}
    labels = {method: f"{_count(float(asked[method]))} labels" for method in known}
    if len(set(labels.values())) > 1:
        each = [f"{method} {times[method]} and {labels[method]}" for method in known]
        return f"Training per seed: {listed(each)}."
    after = f"{labels[known[0]]}{' each' if len(known) > 1 else ''}"
    return f"Training per seed: {listed([f'{m} {times[m]}' for m in known])}; {after}."


def sharing_sentence(results: Results, task: str) -> str:
    """Say how many jobs shared a device while times were measured, where any did."""
    runs = results.runs[results.runs["task"] == task]
    most = runs["jobs_on_device"].max()
    if not most > 1:
        return ""
    return (
        f"Times were measured with up to {most:.0f} jobs at once on a device, so they are longer "
        "than alone; with --jobs 1 they are a method's own."
    )


def equal_reward_sentence(results: Results, task: str) -> str:
    """Say what the methods of the first contrast cost for the same reward.

    That is the reward which both reach: the smaller of those of their selected settings.
    """
    rewards = selected_rows(results.runs, task).groupby("method")["reward"].mean()
    pair = _contrasted(results, task)[:2]
    if not pair or not set(pair) <= set(rewards.index):
        return ""
    reward = float(min(rewards[method] for method in pair))
    costs = [_cost_of(results, task, method, reward) for method in pair]
    return (
        f"For the same {results.reward_source(task)} reward, {number(reward)}: {'; '.join(costs)}."
    )


def _cost_of(results: Results, task: str, method: str, reward: float) -> str:
    """Return what a method cost at its setting that reaches a reward at the smallest KL."""
    reaching = setting_reaching(results, task, method, reward)
    if not reaching:
        return f"no setting of {method} reaches it"
    learned = reward_model_seconds(results, task).get(method)
    reward_model = f" and {seconds(learned)} s for the reward model" if learned else ""
    at = f" ({setting(reaching.params)})" if reaching.params != "{}" else ""
    return (
        f"{method}{at} trains {seconds(reaching.seconds)} s{reward_model}, at "
        f"{number(reaching.kl)} nats"
    )


def _contrasted(results: Results, task: str) -> list[str]:
    """Return the methods of the comparisons that may have a verdict."""
    return [method for c in with_verdict(results, task) for method in (c.method, c.other)]


def _training(duration: float) -> str:
    return "none" if duration < NO_TRAINING else f"{seconds(duration)} s"


def _count(value: float) -> str:
    return "no" if value == 0 else count(value)


def effort_warnings(results: Results, task: str) -> list[str]:
    """Warn where contenders had unequal training or unequal numbers of settings.

    Episodes are compared with episodes, and training examples with training examples.
    """
    contrasted = _contrasted(results, task)
    out = {"sft", *results.privileged}
    by_unit: dict[str, dict[str, float]] = {}
    for method, trained in training_amounts(results, task).items():
        if method not in out:
            by_unit.setdefault(trained.unit, {})[method] = trained.amount
    amounts = [_unequal("had", of_unit, unit, contrasted) for unit, of_unit in by_unit.items()]
    if not _only_best_of_n_differs(results, task):
        amounts.append(_unequal("tried", _tried(results, task), "settings", contrasted))
    return [f"Unequal effort: {text}" for text in amounts if text]


def reward_model_warnings(results: Results, task: str) -> list[str]:
    """Warn where a policy learned more from the labels than the reward model did."""
    weaker = weaker_reward(results, task)
    if weaker is None:
        return []
    policy = f"{weaker.method} ({setting(weaker.params)})"
    return [
        f"Weak reward model: it agrees with {percent(weaker.label_accuracy)} of held-out labels, "
        f"and {policy}, from as many labels, with {percent(weaker.implicit_accuracy)}. This holds "
        "back methods that learn from it; longer training or more layers may mend it."
    ]


def _only_best_of_n_differs(results: Results, task: str) -> bool:
    """Return whether all contenders tried the same number of settings but for best-of-n.

    False where best-of-n may have a verdict: then its effort counts like that of any other.
    """
    tried = _tried(results, task)
    others = {method: n for method, n in tried.items() if method != BEST_OF_N}
    return BEST_OF_N not in _contrasted(results, task) and len(alike(others)) < 2


def _tried(results: Results, task: str) -> dict[str, int]:
    """Return how many settings each contender tried."""
    out = {"sft", *results.privileged}
    return {m: n for m, n in settings_tried(results.runs, task).items() if m not in out}


def _unequal(verb: str, amounts: Mapping[str, float], unit: str, contrasted: Sequence[str]) -> str:
    """Return who had how much, as "a had 1,024 episodes and b 2,048."; nothing if all are alike."""
    every = alike(amounts)
    if len(every) < 2:
        return ""
    groups = every
    if len(every) > MOST_AMOUNTS:
        ends, first = (every[0], every[-1]), set(contrasted[:2])
        groups = [group for group in every if group in ends or first & set(group)]
    names = [_names(group, contrasted) for group in groups]
    least, *more = [_range(amounts, group) for group in groups]
    of_least = f"{least} {unit.removesuffix('s') if least == '1' else unit}"
    parts = [f"{names[0]} {verb} {of_least}", *map(" ".join, zip(names[1:], more, strict=True))]
    single = all(len(group) == 1 for group in groups)
    others = "; others in between" if len(groups) < len(every) else ""
    return f"{listed(parts) if single else '; '.join(parts)}{others}."


def _names(methods: list[str], contrasted: Sequence[str]) -> str:
    """Return the names; of many, one of a contrast and how many others there are."""
    if len(methods) <= MOST_NAMES:
        return listed(methods)
    named = [method for method in methods if method in contrasted][:1]
    return f"{named[0]} and {len(methods) - 1} others" if named else f"{len(methods)} methods"


def _range(amounts: Mapping[str, float], group: list[str]) -> str:
    low, high = (count(pick(amounts[method] for method in group)) for pick in (min, max))
    return low if low == high else f"{low} to {high}"


def edge_warnings(results: Results, task: str) -> list[str]:
    """Warn of selected values that are the smallest or the largest tried."""
    at_edges = [edge for edge in edges(results.runs, task) if (edge.method, edge.side) != COSTLY]
    if not at_edges:
        return []
    contrasted = _contrasted(results, task)
    at_edges.sort(key=lambda edge: edge.method not in contrasted)
    shown, others = at_edges[:MOST_NAMES], at_edges[MOST_NAMES:]
    values = [*map(_value, shown), *([f"{len(others)} more"] if others else [])]
    return [f"Selected on a grid's edge: {listed(values)}. Values beyond might be better."]


def _value(edge: Edge) -> str:
    return f"{edge.method}'s {edge.field} {parameter(edge.value)} ({edge.side})"


def one_setting_each(results: Results) -> bool:
    """Return whether no method tried more than one setting on any task."""
    return all(n < 2 for task in results.tasks for n in settings_tried(results.runs, task).values())
