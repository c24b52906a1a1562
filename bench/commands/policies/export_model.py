"""`prefrontier export-model`: a policy as a folder that transformers, vLLM and llama.cpp load."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from bench.cache.files import check_can_be_made, check_writable, write_json
from bench.commands.policies.card import BASE_FOLDER, Exported, model_card
from bench.commands.policies.selected import Selected, TaskPolicies, is_model
from bench.commands.policies.sources import is_local
from bench.commands.policies.training import existing_or_trained
from bench.errors import UserError, reason_of
from bench.execution.executors.process import silence_libraries
from bench.tasks.base import Task
from bench.tasks.recorded import Recorded
from bench.tasks.sizes import SIZES
from methods.core.models.loading import ADAPTER_FILE
from methods.core.models.pretrained import GENERATION_FILE, ORIGINAL_GENERATION_FILE

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# The files of a saved model that are of use to others.
WEIGHTS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    GENERATION_FILE,
    ADAPTER_FILE,
)
TOKENIZER = (
    "tokenizer*",
    "*.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
)
# What is of no use to others: how a tokenizer was loaded here, and the end tokens of a run, which
# the generation config has.
NOT_EXPORTED = ("is_local", "local_files_only", "name_or_path", "end_tokens")
# A class that only transformers 5 knows, by the name that all versions know.
TOKENIZER_CLASSES = {"TokenizersBackend": "PreTrainedTokenizerFast"}


def export_model(
    folder: Path,
    *,
    method: str,
    task: str = "",
    seed: int | None = None,
    out: Path | None = None,
    merge: bool = False,
    base_model: str = "",
    train: bool = False,
) -> Path:
    """Write the selected policy of a method as a model with a card.

    Args:
        folder: A results folder.
        method: The method's name.
        task: The task's name; "" for the only one.
        seed: The seed; None for the best on validation prompts.
        out: The folder to write, absent or empty; None for models/TASK-METHOD in the results.
        merge: Whether adapters are merged into the weights, in float32.
        base_model: What adapters name as their base model. By default the experiment's model, if
            the SFT policy is that model as it is; else the SFT policy is written beside them.
        train: Whether to train the policy again if it is not in the cache.

    Returns:
        The folder.

    Raises:
        UserError: There is no such policy, it has no weights of its own, or the folder has files.
    """
    policies = TaskPolicies.of(folder, task)
    policies.policy(method, seed)
    name = re.sub(r"[^A-Za-z0-9._-]", "-", f"{policies.task}-{method}")
    out = out or folder / "models" / name
    _check_free(out)
    silence_libraries()
    policy = existing_or_trained(policies, method, seed, train=train)
    assert policy.folder is not None
    if not is_model(policy.folder):
        raise UserError(_without_weights(policies, policy))
    check_writable(_place(out))
    with new_folder(out) as partial:
        exported = _write(policies, policy, partial, merge=merge, base_model=base_model)
        if exported.writes_base:
            _set_base_model(partial, str((out / BASE_FOLDER).absolute()))
        # safetensors writes files that only their owner can read.
        for file in partial.rglob("*.safetensors"):
            file.chmod(0o644)
        (partial / "README.md").write_text(model_card(policies, policy, exported), encoding="utf-8")
    return out


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out: {out} is not empty; name a new folder or an empty one")
    check_can_be_made(out)


def _place(out: Path) -> Path:
    """Return the folder in which the export is written before it is whole."""
    # An empty folder is filled, not replaced: it may be the working directory or a disk.
    return out if out.exists() else out.parent


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write to; what is in it becomes `out` if nothing is raised.

    Args:
        out: A folder, absent or empty.

    Raises:
        UserError: Something cannot be written.
    """
    from safetensors import SafetensorError

    partial = None
    try:
        partial = Path(mkdtemp(prefix=".partial-", dir=_place(out)))
        partial.chmod(0o755)
        yield partial
        if out.exists():
            for file in partial.iterdir():
                file.rename(out / file.name)
        else:
            partial.rename(out)
    except (OSError, SafetensorError) as error:
        raise UserError(f"--out: {out} cannot be written: {reason_of(error)}") from None
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _without_weights(policies: TaskPolicies, policy: Selected) -> str:
    reward_model = policies.stage("reward_model", policy.seed)
    return (
        f"--method: {policy.method} has no weights of its own: it picks among responses of the SFT "
        f"policy. Export that with --method sft --seed {policy.seed}, sample with {policy.params}, "
        f"and pick by the reward model in {reward_model or policies.store.root / 'reward_model'}"
    )


def _write(
    policies: TaskPolicies, policy: Selected, out: Path, *, merge: bool, base_model: str
) -> Exported:
    """Write weights, configuration and tokenizer, and return what they are."""
    assert policy.folder is not None
    adapters = (policy.folder / ADAPTER_FILE).exists()
    # The SFT policy has no adapters but those that have learned nothing.
    source = policies.sft(policy.seed) if adapters and policy.method == "sft" else policy.folder
    if source is not policy.folder or not adapters:
        write_model(source, out)
        return Exported("model")
    if merge:
        _merge(policies.sft(policy.seed), policy.folder, out)
        return Exported("merged")
    _copy(policy.folder, out)
    _copy_tokenizer(policy.folder, out)
    task = policies.experiment.task_objects[policy.task]
    base = base_model or model_as_it_is(task, policies.local_sources)
    _set_base_model(out, base or BASE_FOLDER)
    if not base:
        (out / BASE_FOLDER).mkdir()
        write_model(policies.sft(policy.seed), out / BASE_FOLDER)
    return Exported("adapters", base, writes_base=not base)


def model_as_it_is(task: Task, local: Collection[str] | None = None) -> str:
    """Return the model that is a task's SFT policy without any training, "" if there is none.

    Args:
        task: The task.
        local: The names that were files or folders where the run was made; None if not known.
    """
    if not isinstance(task, Recorded) or task.base != "pretrained" or task.model in SIZES:
        return ""
    if not is_local(task.model, local):
        return task.model
    # A relative path would hold for this working directory alone, and may not hold even here.
    return str(Path(task.model).absolute()) if Path(task.model).is_dir() else ""


def write_model(source: Path, out: Path) -> None:
    """Write a saved model as others need it: every row of its embedding belongs to a token.

    Policies give no probability to other rows. A program that does not know which rows these are
    would sample them.

    Args:
        source: Folder of a whole model.
        out: An existing folder.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    if AutoConfig.from_pretrained(source).get_text_config().vocab_size > _tokens(source):
        model = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True, dtype="auto")
        _save(model, _tokens(source), out)
    else:
        _copy(source, out)
    _copy_tokenizer(source, out)
    _restore_generation(source, out)


def _tokens(source: Path) -> int:
    """Return how many rows of the embedding belong to tokens."""
    from transformers import AutoTokenizer

    return max(AutoTokenizer.from_pretrained(source).get_vocab().values()) + 1


def _save(model: PreTrainedModel, tokens: int, out: Path) -> None:
    if model.get_input_embeddings().weight.shape[0] > tokens:
        model.resize_token_embeddings(tokens)
    model.save_pretrained(out, safe_serialization=True)


def _copy(source: Path, out: Path, patterns: Sequence[str] = WEIGHTS) -> None:
    for pattern in patterns:
        for file in source.glob(pattern):
            shutil.copy(file, out)


def _copy_tokenizer(source: Path, out: Path) -> None:
    """Copy the tokenizer and its chat template without traces of this machine."""
    _copy(source, out, TOKENIZER)
    file = out / "tokenizer_config.json"
    content = {k: v for k, v in _read(file).items() if k not in NOT_EXPORTED}
    kind = content.get("tokenizer_class")
    if kind in TOKENIZER_CLASSES:
        content["tokenizer_class"] = TOKENIZER_CLASSES[kind]
    write_json(file, content)


def _restore_generation(source: Path, out: Path) -> None:
    """Put the generation config of the model's makers back, with every end token."""
    original, file = source / ORIGINAL_GENERATION_FILE, out / GENERATION_FILE
    if original.exists():
        config = _read(file) if file.exists() else {}
        write_json(file, restored_generation(_read(original), config))


def restored_generation(original: dict[str, Any], trained: dict[str, Any]) -> dict[str, Any]:
    """Return the original generation config with the policy's end tokens added to its own."""
    ends = [*_ids(original.get("eos_token_id")), *_ids(trained.get("eos_token_id"))]
    ends = list(dict.fromkeys(ends))
    restored = {**original, "eos_token_id": ends if len(ends) > 1 else ends[0] if ends else None}
    restored.setdefault("pad_token_id", trained.get("pad_token_id"))
    return {name: value for name, value in restored.items() if value is not None}


def _ids(value: Any) -> list[int]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _merge(base: Path, adapters: Path, out: Path) -> None:
    """Add the adapters to the weights of the model under them, in float32."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, use_safetensors=True, dtype="float32")
    merged = PeftModel.from_pretrained(model, adapters).merge_and_unload()
    _save(merged, _tokens(adapters), out)
    _copy_tokenizer(adapters, out)
    _restore_generation(base, out)


def _set_base_model(out: Path, name: str) -> None:
    write_json(out / ADAPTER_FILE, _read(out / ADAPTER_FILE) | {"base_model_name_or_path": name})


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
