"""Which comparisons may have a verdict, and what each of them says."""

from __future__ import annotations

from itertools import combinations
from typing import Literal, NamedTuple

import pandas as pd
import yaml

from bench.errors import UserError
from bench.report.display import MISSING, number, percent, signed
from bench.results.loading import Results
from bench.analysis.selection import (
    Contrast,
    contrast_of,
    gold_by_seed,
    ranking,
    select_settings,
    selected_rows,
)
from bench.analysis.statistics import (
    SEEDS_FOR_VERDICT,
    SIGNIFICANCE,
    Verdict,
    holm,
    seeds_for_verdict,
    verdict,
)

Kind = Literal["declared", "primary", "exploratory"]


class Compared(NamedTuple):
    """One comparison of a task. holm_p: not a number where it is exploratory."""

    method: str
    other: str
    kind: Kind
    found: Contrast
    holm_p: float

    @property
    def verdict(self) -> Verdict | None:
        """What it says; None where it may not say anything."""
        if self.kind == "exploratory":
            return None
        return verdict(self.found.differences, self.holm_p)


def declared(results: Results) -> list[tuple[str, str]]:
    """Return the contrasts that the experiment declares, of methods that the results have.

    Raises UserError where experiment.yaml cannot be read.
    """
    try:
        content = yaml.safe_load(results.experiment)
        pairs = [(str(a), str(b)) for a, b in (content or {}).get("contrasts") or []]
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        raise UserError(
            "experiment.yaml: `contrasts` cannot be read; it must be a list of [method, method]"
        ) from None
    return [pair for pair in pairs if set(pair) <= set(results.methods)]


def with_verdict(results: Results, task: str) -> list[Compared]:
    """Return the comparisons of a task that may have a verdict.

    Without a declared contrast it is the best method against the second-best, both named by
    validation prompts and neither privileged.
    """
    gold = gold_by_seed(selected_rows(results.runs, task))
    kind: Kind = "declared"
    chosen = declared(results)
    if not chosen:
        kind, ranked = "primary", ranking(results.runs, task, results.privileged)
        chosen = [(ranked[0], ranked[1])] if len(ranked) > 1 else []
    found = {pair: contrast_of(gold, *pair) for pair in chosen}
    # A contrast without seeds was declared all the same, and counts.
    ps = {" ".join(pair): own.p if own.differences else 1.0 for pair, own in found.items()}
    corrected = holm(ps)
    return [Compared(*pair, kind, found[pair], corrected[" ".join(pair)]) for pair in chosen]


def exploratory(results: Results, task: str) -> list[Compared]:
    """Return all other comparisons of a task, those with SFT last."""
    gold = gold_by_seed(selected_rows(results.runs, task))
    known = {frozenset((c.method, c.other)) for c in with_verdict(results, task)}
    finished = select_settings(results.runs, task)
    others = [method for method in finished if method != "sft"]
    pairs = [*combinations(others, 2), *((m, "sft") for m in others if "sft" in finished)]
    return [
        Compared(*pair, "exploratory", contrast_of(gold, *pair), float("nan"))
        for pair in pairs
        if frozenset(pair) not in known
    ]


def contrast_table(results: Results, task: str) -> pd.DataFrame:
    """Return a row for each comparison."""
    return pd.DataFrame(
        [
            {
                "contrast": f"{c.method} vs {c.other}",
                "kind": c.kind,
                "difference": signed(c.found.difference),
                "seeds": str(c.found.difference.n),
                "sign-flip p": _p(c.found.p),
                "Holm p": _p(c.holm_p),
                "probability of improvement": percent(c.found.improvement),
                "verdict": _short(c),
            }
            for c in with_verdict(results, task) + exploratory(results, task)
        ]
    )


def verdicts(results: Results, task: str) -> str:
    """Return the verdict on each contrast that may have one, in words."""
    compared = with_verdict(results, task)
    if not compared:
        alone = ranking(results.runs, task, results.privileged)
        return f"No verdict: {alone[0]} has nothing to be compared with."
    return " ".join(_sentence(results, c, len(compared)) for c in compared)


def out_of_reach(results: Results, task: str) -> list[str]:
    """Warn where so many contrasts are declared that none could be confirmed with these seeds."""
    count = len(compared := with_verdict(results, task))
    seeds = max((c.found.difference.n for c in compared), default=0)
    needed = seeds_for_verdict(count)
    if not SEEDS_FOR_VERDICT <= seeds < needed:
        return []
    return [
        f"No verdict is possible: {count} contrasts are declared, and corrected for that "
        f"number p cannot fall below {count * 2 / 2**seeds:.2g} with {seeds} seeds. It takes "
        f"{needed} seeds, or fewer contrasts."
    ]


def _sentence(results: Results, compared: Compared, of: int) -> str:
    names = [results.marked(method) for method in (compared.method, compared.other)]
    seeds, said = compared.found.difference.n, compared.verdict
    if said == "too few seeds":
        return (
            f"Too few seeds for a verdict: {names[0]} and {names[1]} share {seeds}, "
            f"{SEEDS_FOR_VERDICT} are needed."
        )
    test = f"{'sign-flip' if of == 1 else 'Holm-corrected sign-flip'} p = {_p(compared.holm_p)}"
    if said == "none":
        words = f"No difference shown between {names[0]} and {names[1]} ({test}, {seeds} seeds"
        disagree = ", but the 95% interval holds 0" if compared.holm_p < SIGNIFICANCE else ""
        return f"{words}{disagree})."
    if said == "worse":
        names.reverse()
    return f"{names[0]} is better than {names[1]} ({test}, {seeds} seeds)."


def _short(compared: Compared) -> str:
    words = {"none": "no difference shown", "too few seeds": "too few seeds"}
    if compared.verdict is None:
        return MISSING
    names = [compared.method, compared.other]
    if compared.verdict == "worse":
        names.reverse()
    return words.get(compared.verdict, f"{names[0]} is better")


def _p(p: float) -> str:
    return number(p, 3)
