"""The page of answers: one self-contained HTML file, in the report's style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.commands.policies.prompts import Prompt
from bench.commands.policies.responses import Response
from bench.commands.policies.selected import Selected, TaskPolicies
from bench.report.content.display import MISSING, number, setting
from bench.report.content.section import Column, Part, Section, Tab, Table, Text
from bench.report.page.html import render_page
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import in_words

COLUMNS = (
    Column("method", "method", "text"),
    Column("setting", "setting", "text"),
    Column("proxy", "proxy reward", help="Mean reward by the reward model."),
    Column("judge", "judge reward", help="Mean reward by the judge that measured the run."),
    Column("kl", "KL (nats)", help="Mean KL to the SFT policy, over whole responses."),
    Column("words", "words", help="Mean number of words of a response."),
    Column("ended", "ended", help="Responses that the policy ended itself."),
)
NOTE = (
    "One response of each policy to each prompt: means over so few responses say little. Only the "
    "report compares methods."
)


def answers_page(
    policies: TaskPolicies,
    selected: Sequence[Selected],
    prompts: Sequence[Prompt],
    responses: Mapping[str, Sequence[Response]],
    sampling: SamplingParams,
) -> str:
    """Return the page.

    Args:
        policies: Those of the task.
        selected: The policies that responded.
        prompts: The prompts.
        responses: By method, in the order of the prompts.
        sampling: How they were sampled.
    """
    results = policies.results
    name = str(results.manifest.get("name") or policies.folder.resolve().name)
    about = (
        f"{policies.task} · seed {selected[0].seed} · temperature {sampling.temperature:g} · "
        f"at most {sampling.max_new_tokens} tokens"
    )
    means = Section(
        "means",
        "Means over the prompts",
        NOTE,
        parts=(Part(tables=(_table(policies, selected, responses),)),),
    )
    parts: list[Part] = []
    for i, prompt in enumerate(prompts):
        parts.append(Part(f"Prompt {i + 1}", texts=(Text("", in_words(prompt.text)),)))
        texts = [_text(results.marked(method), all_[i]) for method, all_ in responses.items()]
        parts.append(Part(texts=tuple(texts)))
    answers = Section("answers", "Answers to your prompts", parts=tuple(parts))
    return render_page(f"{name}: answers", about, [Tab("answers", "", (answers, means))], {})


def _text(name: str, response: Response) -> Text:
    values = [f"{source} reward {number(value)}" for source, value in response.rewards.items()]
    if response.kl is not None:
        values.append(f"KL {number(response.kl)}")
    if not response.ended:
        values.append("cut off")
    return Text(name, response.content or MISSING, " · ".join(values))


def _table(
    policies: TaskPolicies,
    selected: Sequence[Selected],
    responses: Mapping[str, Sequence[Response]],
) -> Table:
    rows = []
    for policy in selected:
        answers = responses[policy.method]
        rows.append(
            {
                "method": policies.results.marked(policy.method),
                "setting": setting(policy.params),
                "proxy": _mean([response.rewards.get("proxy") for response in answers]),
                "judge": _mean([response.rewards.get("judge") for response in answers]),
                "kl": _mean([response.kl for response in answers]),
                "words": _mean([float(len(response.content.split())) for response in answers], 1),
                "ended": f"{sum(response.ended for response in answers)} of {len(answers)}",
            }
        )
    shown = [c for c in COLUMNS if any(row[c.name] != MISSING for row in rows)]
    return Table.of(shown, rows)


def _mean(values: Sequence[float | None], decimals: int = 2) -> str:
    known = [value for value in values if value is not None]
    return number(sum(known) / len(known) if known else math.nan, decimals)
