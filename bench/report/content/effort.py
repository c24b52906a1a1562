"""Sentences on unequal training, unequal numbers of settings, and grids that end too early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.analysis.contrasts import with_verdict
from bench.analysis.effort import settings_tried
from bench.analysis.selection import Edge, edges, selected_rows
from bench.analysis.usage import Training, alike, training_amounts
from bench.report.content.display import count, listed, seconds
from bench.results.loading import Results

# More names than this are counted, not listed.
MOST_NAMES = 6
# Of more different amounts, only the least, the most and those of contrasts are listed.
MOST_AMOUNTS = 4
# The most methods of a task whose usage is reported.
MOST_USAGES = 4
# Cost limits its n, so it is expected to have fewer settings, and the best n to be the largest.
BEST_OF_N = "best_of_n"
COSTLY = (BEST_OF_N, "largest")
# Training that takes less is none (s).
NO_TRAINING = 0.1


def usage_sentence(results: Results, task: str, order: Sequence[str]) -> str:
    """Return what the best method, those with a verdict and the runner-up used, in their units.

    Args:
        results: The results.
        task: The task's name.
        order: Methods, the best first.
    """
    rows = selected_rows(results.runs, task)
    columns = ["train_seconds", "responses_sampled", "labels"]
    usage = rows.groupby("method")[columns].median().to_dict("index")
    amounts = training_amounts(results, task)
    methods = dict.fromkeys([*order[:1], *_contrasted(results, task), *order[1:2]])
    reported = [method for method in methods if method in usage and method != "sft"]
    parts = [
        f"{method} used {_usage(usage[method], amounts.get(method))}"
        for method in reported[:MOST_USAGES]
    ]
    return f"Per seed, {'; '.join(parts)}." if parts else ""


def _usage(used: dict[Any, Any], trained: Training | None) -> str:
    parts = [_training(used["train_seconds"])]
    if trained:
        parts.append(f"{count(trained.amount)} {trained.unit}")
    if used["responses_sampled"] > 0 and not (trained and trained.unit == "episodes"):
        parts.append(f"{count(used['responses_sampled'])} sampled responses")
    return listed([*parts, f"{_count(used['labels'])} labels"])


def _contrasted(results: Results, task: str) -> list[str]:
    """Return the methods of the comparisons that may have a verdict."""
    return [method for c in with_verdict(results, task) for method in (c.method, c.other)]


def _training(duration: float) -> str:
    return "no training" if duration < NO_TRAINING else f"{seconds(duration)} s of training"


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
    sentences = [_unequal("had", amounts, unit, contrasted) for unit, amounts in by_unit.items()]
    if not _only_best_of_n_differs(results, task):
        sentences.append(_unequal_settings(results, task, " More settings mean more chances."))
    text = " ".join(filter(None, sentences))
    return [f"Unequal effort: {text}"] if text else []


def best_of_n_sentence(results: Results, task: str) -> str:
    """Say of best-of-n what is no reason to warn: fewer settings, and the largest n as the best."""
    settings = ""
    if _only_best_of_n_differs(results, task):
        settings = _unequal_settings(results, task)
    largest = [
        f"{edge.method}'s {edge.field} {edge.value:g} is the largest tried. A larger one might be "
        "better, but every response would cost more samples."
        for edge in edges(results.runs, task)
        if (edge.method, edge.side) == COSTLY
    ]
    return " ".join(filter(None, [settings, *largest]))


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


def _unequal_settings(results: Results, task: str, moral: str = "") -> str:
    text = _unequal("tried", _tried(results, task), "settings", _contrasted(results, task))
    return text + moral if text else ""


def _unequal(verb: str, amounts: Mapping[str, float], unit: str, contrasted: Sequence[str]) -> str:
    """Return who had how much, as "a had 1,024 episodes and b 2,048."; nothing if all are alike."""
    every = alike(amounts)
    if len(every) < 2:
        return ""
    groups = every
    if len(every) > MOST_AMOUNTS:
        ends = (every[0], every[-1])
        groups = [group for group in every if group in ends or set(contrasted) & set(group)]
    names = [_names(group, contrasted) for group in groups]
    least, *more = [_range(amounts, group) for group in groups]
    of_least = f"{least} {unit.removesuffix('s') if least == '1' else unit}"
    parts = [f"{names[0]} {verb} {of_least}", *map(" ".join, zip(names[1:], more, strict=True))]
    single = all(len(group) == 1 for group in groups)
    others = "; others in between" if len(groups) < len(every) else ""
    return f"{listed(parts) if single else '; '.join(parts)}{others}."


def _names(methods: list[str], contrasted: Sequence[str]) -> str:
    """Return the names; of many, those of contrasts and how many others there are."""
    named = [method for method in methods if method in contrasted]
    others = len(methods) - len(named)
    if len(methods) <= MOST_NAMES or not others:
        return listed(methods)
    return f"{listed(named)} and {others} others" if named else f"{others} methods"


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
    sides = [_side([e for e in shown if e.side == side], side) for side in ("smallest", "largest")]
    text = f"On an edge of the grid: {', '.join(filter(None, sides))}"
    if others:
        text += f", and so for {len(others)} more (see All settings tried)"
    [side, *other_side] = {edge.side for edge in at_edges}
    beyond = "smaller" if side == "smallest" else "larger"
    better = "Values beyond them" if other_side else f"A {beyond} value"
    return [f"{text}. {better} might be better."]


def _side(at_edges: list[Edge], side: str) -> str:
    if not at_edges:
        return ""
    owners: dict[str, list[str]] = {}
    for edge in at_edges:
        owners.setdefault(f"{edge.field} {edge.value:g}", []).append(edge.method)
    values = [
        f"{first}'s {value}" if not others else f"the {value} of {listed([first, *others])}"
        for value, (first, *others) in owners.items()
    ]
    return f"{listed(values)} {'is' if len(values) == 1 else 'are'} the {side} tried"


def one_setting_each(results: Results) -> bool:
    """Return whether no method tried more than one setting on any task."""
    return all(n < 2 for task in results.tasks for n in settings_tried(results.runs, task).values())
