"""`prefrontier answer`: what every selected policy responds to prompts of one's own."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from bench.cache.files import check_can_be_written, check_writable, write_text
from bench.commands.experiments.options import resolve_device
from bench.commands.policies.chat import changed
from bench.commands.policies.page import answers_page
from bench.commands.policies.prompts import Prompt, read_prompts
from bench.commands.policies.responses import Responder, Response, check_prompt
from bench.commands.policies.selected import Selected, TaskPolicies
from bench.commands.policies.training import existing_or_trained
from bench.errors import UserError
from bench.execution.executors.process import silence_libraries
from methods.core.models.policy import ModelPolicy, load_policy
from methods.core.models.reward import load_reward
from methods.core.models.sampling import SamplingParams, derive_seed
from methods.core.models.text import to_turns

# What scores responses: the stage of the pipeline, and the name of its reward.
REWARDS = {"reward_model": "proxy", "judge": "judge"}


def run_answer(
    folder: Path,
    *,
    prompts: str,
    out: Path | None = None,
    task: str = "",
    methods: Sequence[str] = (),
    seed: int | None = None,
    temperature: float | None = None,
    max_new_tokens: int | None = None,
    sampling_seed: int = 0,
    train: bool = False,
    device: str = "auto",
) -> tuple[Path, Path]:
    """Write what the selected policy of each method responds to each prompt.

    Args:
        folder: A results folder.
        prompts: A file of prompts.
        out: The JSONL file to write; None for answers.jsonl in the results folder. A page with the
            same name and the suffix .html is written beside it.
        task: The task's name; "" for the only one.
        methods: Only these methods; empty for all.
        seed: The seed of the run; None for the first of which all policies are in the cache.
        temperature: Replaces that of the run.
        max_new_tokens: Replaces that of the run.
        sampling_seed: The same one gives the same responses.
        train: Whether to train policies again that are not in the cache.
        device: "auto", "cpu" or "cuda".

    Returns:
        The file and the page.

    Raises:
        UserError: The prompts cannot be read, there is no such policy, or the files cannot be
            written.
    """
    policies = TaskPolicies.of(folder, task)
    options = policies.described.get("options") or {}
    user_prompts = read_prompts(prompts, plain=options.get("text") == "plain")
    sampling = changed(policies.sampling, temperature, max_new_tokens)
    out = out or folder / "answers.jsonl"
    page = _page_beside(out)
    check_can_be_written(out)
    silence_libraries()
    selected = same_seed(policies, methods, seed, train=train)
    responses = respond(
        policies, selected, user_prompts, prompts, sampling, sampling_seed, resolve_device(device)
    )
    check_writable(out.parent)
    try:
        write_text(out, "".join(_lines(user_prompts, responses)))
        write_text(page, answers_page(policies, selected, user_prompts, responses, sampling))
    except OSError as error:
        raise UserError(f"--out: {out} cannot be written: {error.strerror}") from None
    return out, page


def _page_beside(out: Path) -> Path:
    """Return where the page is written.

    Raises:
        UserError: One of the two is a folder, or they are the same file.
    """
    page = out.with_suffix(".html") if out.name else out
    for file in (out, page):
        if file.is_dir():
            raise UserError(f"--out: {file} is a folder; name a file of JSON lines")
    if page == out:
        raise UserError(f"--out: {out} must be a file of JSON lines; the page is written beside it")
    return page


def same_seed(
    policies: TaskPolicies, methods: Sequence[str], seed: int | None, *, train: bool = False
) -> list[Selected]:
    """Return the selected policies of all methods at one seed: they then share the SFT policy.

    Args:
        policies: Those of the task.
        methods: Only these methods; empty for all.
        seed: The seed; None for the first of which all policies are in the cache.
        train: Whether to train policies again that are not in the cache.

    Raises:
        UserError: There is no seed of which all are in the cache.
    """
    names = list(methods) or list(policies.settings)
    if not names:
        raise UserError(f"{policies.folder}: no run on {policies.task} finished")
    shared = set.intersection(*(set(policies.seeds(name)) for name in names))
    for one in sorted(shared) if seed is None else [seed]:
        found = [policies.policy(name, one) for name in names]
        if all(policy.exists() for policy in found):
            return found
    if seed is None and not shared:
        raise UserError(f"--methods: no seed of {', '.join(names)} finished; name fewer methods")
    seed = min(shared) if seed is None else seed
    return [existing_or_trained(policies, name, seed, train=train) for name in names]


def respond(
    policies: TaskPolicies,
    selected: Sequence[Selected],
    prompts: Sequence[Prompt],
    source: str,
    sampling: SamplingParams,
    sampling_seed: int,
    device: str,
) -> dict[str, list[Response]]:
    """Return each method's responses to the prompts, with the rewards that can be computed.

    Raises:
        UserError: A prompt is not one that the policies take.
    """
    seed, texts = selected[0].seed, [prompt.text for prompt in prompts]
    sft = ModelPolicy.load(policies.sft(seed), device)
    for prompt in prompts:
        try:
            check_prompt(sft, prompt.text, sampling)
        except UserError as problem:
            raise UserError(f"{source}: line {prompt.line}: {problem}") from None
    responses = {}
    for policy in selected:
        assert policy.folder is not None
        responder = Responder(load_policy(policy.folder, device), sft)
        drawn = derive_seed("answer", sampling_seed)
        responses[policy.method] = responder.respond(texts, drawn, sampling)
    for stage, name in REWARDS.items():
        if folder := policies.stage(stage, seed):
            reward = load_reward(folder, device)
            for answers in responses.values():
                values = reward(texts, [answer.text for answer in answers])
                for answer, value in zip(answers, values, strict=True):
                    answer.rewards[name] = value
    return responses


def _lines(prompts: Sequence[Prompt], responses: dict[str, list[Response]]) -> list[str]:
    return [
        json.dumps(
            {
                "prompt": _as_given(prompt.text),
                "responses": {name: _fields(answers[i]) for name, answers in responses.items()},
            },
            ensure_ascii=False,
        )
        + "\n"
        for i, prompt in enumerate(prompts)
    ]


def _as_given(prompt: str) -> str | list[dict[str, str]]:
    """Return a prompt as text, or as turns where it has several."""
    turns = to_turns(prompt)
    return turns[0]["content"] if len(turns) == 1 and turns[0]["role"] == "user" else turns


def _fields(response: Response) -> dict[str, object]:
    rewards = {f"{name}_reward": value for name, value in response.rewards.items()}
    numbers = {**rewards, "kl": response.kl}
    known = {k: round(v, 6) for k, v in numbers.items() if v is not None and math.isfinite(v)}
    return {"response": response.content, "ended": response.ended, **known}
