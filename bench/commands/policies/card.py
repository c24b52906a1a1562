"""The model card of an exported policy: what it is, how it was made, how good it measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import yaml

from bench.analysis.selection import ok_rows
from bench.analysis.statistics import mean_interval
from bench.commands.policies.selected import Selected, TaskPolicies
from bench.data.reading import HUB
from bench.report.content.display import MISSING, metric_help, metric_label, metric_value
from bench.report.content.section import Column, Table
from bench.report.markdown import fenced, markdown_table, markdown_text
from bench.report.sections.judge import judge_sentence, judge_warnings
from bench.results.columns import Metric
from bench.results.metrics import MEASURED, OF_PEOPLE

# Beside adapters, the SFT policy that they belong to, where it is published nowhere else.
BASE_FOLDER = "base_model"
NORMAL_95 = 1.96
FACT_COLUMNS = (Column("name", "name", "text"), Column("value", "value", "long"))
METRIC_COLUMNS = (
    Column("name", "metric", "text"),
    Column("policy", "this policy"),
    Column("seeds", "mean over seeds"),
    Column("sft", "SFT policy"),
    Column("help", "what it is", "long"),
)
WARNINGS = (
    "It is the result of a comparison of methods, not a product: no test of its safety, honesty, "
    "bias or factual accuracy was made.",
    "The metrics hold for prompts like the test prompts, for responses sampled with the parameters "
    "above, and for the reward that they name. They say nothing about other prompts, languages or "
    "tasks.",
    "A policy that was trained on preferences may have learned what pleases the reward, not what "
    "people want. Read its responses before you use it.",
)


class Exported(NamedTuple):
    """What an exported folder holds.

    Attributes:
        form: A whole model, one with its adapters merged, or adapters.
        base: What adapters name as their base model; "" where it lies beside them.
        writes_base: Whether the SFT policy lies beside the adapters.
    """

    form: Literal["model", "merged", "adapters"]
    base: str = ""
    writes_base: bool = False


def model_card(policies: TaskPolicies, policy: Selected, exported: Exported) -> str:
    """Return the README.md of an exported policy."""
    from huggingface_hub import ModelCard

    header = f"---\n{metadata(policies, policy, exported).to_yaml()}\n---\n"
    text = header + "\n" + "\n\n".join(_sections(policies, policy, exported)) + "\n"
    return str(ModelCard(text))


def metadata(policies: TaskPolicies, policy: Selected, exported: Exported) -> Any:
    """Return the card's metadata, with names of the hub only. The license is left out."""
    from huggingface_hub import ModelCardData

    options = policies.described.get("options") or {}
    base_model = hub_id(str(options.get("model") or ""))
    dataset = hub_id(str(options.get("data") or "").partition(":")[0])
    adapters = exported.form == "adapters"
    # Adapters on an SFT policy that was itself fine-tuned are none on its base model.
    relation = "adapter" if adapters and exported.base == base_model else "finetune"
    return ModelCardData(
        base_model=base_model,
        base_model_relation=relation if base_model else None,
        datasets=[dataset] if dataset else None,
        library_name="peft" if adapters else "transformers",
        pipeline_tag="text-generation",
        tags=["prefrontier", "alignment", policy.method.replace("_", "-")],
    )


def hub_id(name: str) -> str | None:
    """Return a name if it is one of the hub, None for a path, an embedded size or nothing."""
    return name if HUB.fullmatch(name) and not Path(name).exists() else None


def _sections(policies: TaskPolicies, policy: Selected, exported: Exported) -> Iterator[str]:
    results = policies.results
    about = policies.described
    learned = results.described("methods").get(policy.method, {})
    yield f"# {markdown_text(policy.method)} on {markdown_text(policy.task)}"
    title = str(learned.get("title") or policy.method).rstrip(".")
    yield markdown_text(
        f"A language model trained with {policy.method} ({title}) in a comparison of alignment "
        f"methods by prefrontier. It is seed {policy.seed} of the setting with the highest mean "
        "reward on validation prompts."
    )
    yield f"## Use\n\n{_use(policies, exported)}"
    yield f"## Data\n\n{_data(about)}"
    yield f"## Training\n\n{_training(policies, policy)}"
    yield f"## Metrics\n\n{_metrics(policies, policy)}"
    limits = "\n".join(f"- {markdown_text(text)}" for text in WARNINGS)
    yield f"## What it is not\n\n{limits}"
    yield f"## Versions\n\n{_facts(_versions(results.manifest))}"
    yield f"## Experiment\n\n{_experiment(policies)}"


def _use(policies: TaskPolicies, exported: Exported) -> str:
    sampling = policies.sampling
    lines = []
    if exported.form == "adapters":
        name = shown_source(exported.base)
        base = f"the model {name}" if name else f"the SFT policy in the folder {BASE_FOLDER}"
        lines.append(f"These are LoRA adapters (peft). They belong to {base}.")
        if not hub_id(exported.base):
            lines.append(
                "If that model moves or is published, change base_model_name_or_path in "
                "adapter_config.json to where it is then."
            )
    elif exported.form == "merged":
        lines.append("LoRA adapters are merged into the weights, in float32.")
    lines.append("Prompts go through the tokenizer's chat template.")
    lines.append(
        f"The metrics below are those of sampling with temperature {sampling.temperature:g}, "
        f"top_k {sampling.top_k or 'off'}, top_p {sampling.top_p:g} and at most "
        f"{sampling.max_new_tokens} new tokens. generation_config.json may say otherwise: the "
        "comparison does not use it."
    )
    return markdown_text(" ".join(lines))


def _data(about: Mapping[str, Any]) -> str:
    options = about.get("options") or {}
    lines = [str(about.get("about") or "")]
    if options.get("data"):
        lines.append(f"Preferences: {shown_source(str(options['data']))}.")
    summary = (about.get("data") or {}).get("summary") or []
    lines += [" ".join(str(line).split()) for line in summary[1:]]
    if options.get("model"):
        lines.append(f"The policies start from the model {shown_source(str(options['model']))}.")
    return "\n".join(f"- {markdown_text(line)}" for line in lines if line)


def shown_source(name: str) -> str:
    """Return a source's name without the folders that it is in on this machine."""
    path = Path(name)
    return name if hub_id(name.partition(":")[0]) else path.name


def _without_paths(text: str, about: Mapping[str, Any]) -> str:
    """Return a text with the models that the task's options name as `shown_source` shows them."""
    options = about.get("options") or {}
    classifiers = (options.get(name) or {} for name in ("judge_classifier", "reward_classifier"))
    names = [
        options.get("judge_model"),
        options.get("model"),
        *(c.get("model") for c in classifiers),
    ]
    for source in map(str, filter(None, names)):
        if "/" in source:
            text = text.replace(source, shown_source(source))
    return text


def _training(policies: TaskPolicies, policy: Selected) -> str:
    table = policies.results.method_settings
    rows = table[(table["task"] == policy.task) & (table["method"] == policy.method)]
    row = rows.iloc[0] if len(rows) else pd.Series(dtype=object)
    parameters = _object(row.get("fixed")) | _object(policy.params)
    paper = " ".join(str(row.get(name) or "") for name in ("authors", "paper")).strip()
    lines = [f"Method: {row.get('title') or policy.method} {paper}".strip()]
    privileged = policy.method in policies.results.privileged
    if privileged:
        lines.append("It was trained on the gold reward, which no method would have in practice.")
    values = {**parameters, "seed": policy.seed}
    shown = _facts({name: json.dumps(value) for name, value in values.items()})
    tried = f"Tried in the comparison: {row.get('tried') or '{}'}."
    return f"{markdown_text(' '.join(lines))}\n\n{shown}\n\n{markdown_text(tried)}"


def _object(text: Any) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _metrics(policies: TaskPolicies, policy: Selected) -> str:
    results, task = policies.results, policy.task
    source = results.reward_source(task)
    runs = ok_rows(results.runs[results.runs["task"] == task])
    runs = runs[runs["split"] == "test"]
    of_setting = runs[(runs["method"] == policy.method) & (runs["params"] == policy.params)]
    of_seed = of_setting[of_setting["seed"] == policy.seed]
    sft = runs[(runs["method"] == "sft") & (runs["seed"] == policy.seed)]
    rows = [
        {
            "name": metric_label(metric, source),
            "policy": _with_error(metric, of_seed),
            "seeds": _over_seeds(metric, of_setting[metric.name]),
            "sft": _with_error(metric, sft),
            "help": metric_help(metric, source),
        }
        for metric in (*MEASURED, *OF_PEOPLE)
        if of_seed[metric.name].notna().any()
    ]
    reward = {
        "gold": "The reward is the gold reward: a program that no method sees.",
        "judge": judge_sentence(results, task),
    }[source]
    seeds = of_setting["seed"].nunique()
    over_seeds = f", and over {seeds} seeds for the mean (a t-interval)" if seeds > 1 else ""
    lines = [
        "Measured on test prompts, which served neither training nor selection.",
        reward,
        *judge_warnings(results, task),
        "Intervals are 95%: over prompts for this policy (1.96 standard errors, clustered by "
        f"prompt){over_seeds}.",
    ]
    text = _without_paths(" ".join(lines), policies.described)
    return f"{markdown_text(text)}\n\n{markdown_table(Table(METRIC_COLUMNS, tuple(rows)))}"


def _with_error(metric: Metric, rows: pd.DataFrame) -> str:
    """Return a metric of one policy, with its interval over prompts where its error is known."""
    if rows.empty:
        return MISSING
    value = metric_value(metric, float(rows[metric.name].iloc[0]))
    error = float(rows[f"{metric.name}_sem"].iloc[0]) if metric.has_sem else 0.0
    return f"{value} ± {metric_value(metric, NORMAL_95 * error)}" if error > 0 else value


def _over_seeds(metric: Metric, values: pd.Series) -> str:
    interval = mean_interval(values.dropna().tolist())
    mean = metric_value(metric, interval.mean)
    half = interval.half_width
    return f"{mean} ± {metric_value(metric, half)}" if half == half else mean


def _versions(manifest: Mapping[str, Any]) -> dict[str, str]:
    facts = {name: manifest.get(name) for name in ("commit", "finished", "device")}
    facts |= manifest.get("versions") or {}
    return {name: str(value) for name, value in facts.items() if value}


def _experiment(policies: TaskPolicies) -> str:
    """Return the task's entry and the evaluation as YAML, without folders of this machine."""
    content = policies.experiment.model_dump()
    content = {
        "seeds": content["seeds"],
        "tasks": {policies.task: content["tasks"][policies.task]},
        "evaluation": content["evaluation"],
    }
    text = yaml.safe_dump(_without_folders(content), sort_keys=False, allow_unicode=True)
    return fenced(text.strip())


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_folders(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(inner) for inner in value]
    if not isinstance(value, str) or "/" not in value:
        return value
    # Results may have come from another machine, whose folders are not here.
    is_path = value.startswith(("/", "~", ".")) or Path(value).exists()
    return Path(value).name if is_path else value


def _facts(values: Mapping[str, str]) -> str:
    rows = tuple({"name": name, "value": value} for name, value in values.items())
    return markdown_table(Table(FACT_COLUMNS, rows))
