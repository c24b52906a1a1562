"""The context: a method's only door to data, reward, randomness and disk, metered throughout."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal

from methods.core.models import distributed
from methods.core.feedback import Label
from methods.core.models.loading import AdapterOff, Loading, adapted, inner, without_dropout
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.models.reward import read_settings
from methods.core.models.sampling import SamplingParams
from methods.core.training.trainer import trainer_arguments

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Reward = Callable[[Sequence[str], Sequence[str]], list[float]]
PROGRESS_FILE = "progress.pt"
CHECKPOINTS, CHECKPOINT_FILE = "checkpoints", "checkpoint.json"


@dataclass
class Usage:
    """What a run used.

    prompts_seen: labels read, and prompts of which a response was rewarded, repeats included.
    train_sequences, train_tokens: those that went forward with gradients on.
    """

    prompts_seen: int = 0
    responses_sampled: int = 0
    reward_calls: int = 0
    train_sequences: int = 0
    train_tokens: int = 0
    train_seconds: float = 0.0


@dataclass
class Context:
    """What `Method.train` gets.

    sft: folder of the SFT policy. reward_folder: the reward model that `reward` is, where it is
    one. labels: the feedback. budget: the most training examples or episodes the method may
    use.
    workdir: the only place it may write to. checkpoints: how many are kept of a training. loading:
    whether adapters are trained, or all weights.
    """

    sft: Path
    prompts: list[str]
    labels: Sequence[Label]
    sampling: SamplingParams
    budget: int
    seed: int
    workdir: Path
    device: str
    reward_function: Reward | None = None
    reward_folder: Path | None = None
    checkpoints: int = 0
    loading: Loading = Loading()
    curves: list[dict[str, float]] = field(default_factory=list)
    _usage: Usage = field(default_factory=Usage)
    _tokens: torch.Tensor | int = 0
    _since: float = field(default_factory=time.perf_counter)
    _started: ModelPolicy | None = None

    @property
    def usage(self) -> Usage:
        """What was used so far."""
        self._usage.train_tokens += int(self._tokens)
        self._tokens = 0
        return self._usage

    def start(self) -> ModelPolicy:
        """Return a fresh trainable copy of the SFT policy, or one with fresh adapters on it.

        Without dropout: a policy that is trained is the policy that is sampled.
        """
        policy = ModelPolicy.load(self.sft, self.device, self.loading)
        policy.model = without_dropout(adapted(policy.model, self.loading))
        self._started = self._started or policy
        return self._counted(policy)

    @cached_property
    def reference(self) -> ModelPolicy:
        """The SFT policy, frozen: where adapters are trained, the model under them."""
        if self.loading.adapters:
            started = self._started or self.start()
            return ModelPolicy(AdapterOff(started.model), started.tokenizer)
        policy = ModelPolicy.load(self.sft, self.device)
        policy.model.requires_grad_(False)
        return self._counted(policy)

    def value_model(self, start: Literal["reward_model", "zero"]) -> PreTrainedModel:
        """Return a fresh sequence classifier over the policy's tokens, for a critic.

        It starts from the reward model where that has the policy's vocabulary, else ("zero") from
        the SFT policy's body with a head of zeros.
        """
        from transformers import AutoModelForSequenceClassification

        shared = start == "reward_model" and self._reward_shares_tokens()
        model = AutoModelForSequenceClassification.from_pretrained(
            self.reward_folder if shared else self.sft,
            num_labels=1,
            **self.loading.options(self.device),
        )
        if not shared:
            model.score.weight.data.zero_()
        model = without_dropout(adapted(model.eval(), self.loading, head="score"))
        return self._count_tokens(model.to(self.device))

    def _reward_shares_tokens(self) -> bool:
        from transformers import AutoTokenizer

        if self.reward_folder is None or read_settings(self.reward_folder).get("label") is not None:
            return False
        vocabulary = AutoTokenizer.from_pretrained(self.reward_folder).get_vocab()
        return bool(vocabulary == self.reference.tokenizer.get_vocab())

    @property
    def feedback(self) -> list[Any]:
        """The labels, of the kind that the method takes: Pair, Choice, Ranking or Unpaired."""
        seen = len(self.labels) if distributed.is_main() else 0
        self._usage.prompts_seen = max(self._usage.prompts_seen, seen)
        return list(self.labels)

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return the reward of each response: the learned one, or gold to a privileged method."""
        if self.reward_function is None:
            raise PermissionError("this method declares no reward: set feedback = 'reward'")
        self._usage.reward_calls += len(responses)
        self._usage.prompts_seen += len(prompts)
        return self.reward_function(prompts, responses)

    def log(self, step: int, **metrics: float) -> None:
        """Keep a point of the training curves."""
        self.curves.append({"step": step, **{k: float(v) for k, v in metrics.items()}})

    def checkpoint(self, step: int, total: int, policy: Policy) -> None:
        """Keep the policy as it is after this step, if this is a point that is to be measured.

        Call it after every update. total: the last step. The points lie closer at the start, where
        a policy moves fastest: at the squares of 1/n, 2/n ... of the way.
        """
        parts = self.checkpoints + 1
        mark = int(parts * (step / total) ** 0.5 + 1e-9)
        folder = self.workdir / CHECKPOINTS / str(mark)
        if not 0 < mark < parts or folder.exists() or not distributed.is_main():
            return
        started = time.perf_counter()
        partial = folder.with_name(f".{mark}.partial")
        policy.save(partial)
        (partial / CHECKPOINT_FILE).write_text(json.dumps({"step": step, "total": total}))
        partial.rename(folder)
        # To be measured is not part of the training.
        self._since += time.perf_counter() - started

    def trainer_arguments(self, model: PreTrainedModel) -> dict[str, Any]:
        """Return what any transformers or TRL trainer should be given on this device."""
        return trainer_arguments(model, self.device, self.seed, self.workdir, self.loading)

    def seconds(self) -> float:
        """Return the seconds trained so far, those before a stop included."""
        return self._usage.train_seconds + time.perf_counter() - self._since

    def save_progress(self, state: dict[str, Any]) -> None:
        """Keep tensors and plain values on disk, so that a run that is killed can go on."""
        import torch

        if not distributed.is_main():
            return
        usage = asdict(self.usage) | {"train_seconds": self.seconds()}
        partial = self.workdir / (PROGRESS_FILE + ".partial")
        torch.save({"state": state, "usage": usage, "curves": self.curves}, partial)
        partial.replace(self.workdir / PROGRESS_FILE)

    def load_progress(self) -> dict[str, Any] | None:
        """Return the last saved state, with the usage set back to it, or None at a first start."""
        import torch

        file = self.workdir / PROGRESS_FILE
        if not file.exists():
            return None
        saved = torch.load(file, map_location=self.device, weights_only=True)
        self._usage, self._tokens = Usage(**saved["usage"]), 0
        self.curves = saved["curves"]
        self._since = time.perf_counter()
        state: dict[str, Any] = saved["state"]
        return state

    def _counted(self, policy: ModelPolicy) -> ModelPolicy:
        self._count_tokens(policy.model)
        self._count_samples(policy.model)
        return policy

    def _count_samples(self, model: PreTrainedModel) -> None:
        """Count what the model generates, whoever calls it."""

        def generate(model: Any, *args: Any, **options: Any) -> Any:
            output = type(model).generate(model, *args, **options)
            self._usage.responses_sampled += len(getattr(output, "sequences", output))
            return output

        # A bound method, so that a copy of the model generates from the copy.
        model.generate = MethodType(generate, model)

    def _count_tokens(self, model: PreTrainedModel) -> PreTrainedModel:
        """Count tokens by a hook, so that no method can forget to.

        They are added up on the device: to read them at every step would make a GPU wait.
        """
        import torch

        def count(_: Any, __: Any, inputs: dict[str, Any]) -> None:
            if torch.is_grad_enabled() and (mask := inputs.get("attention_mask")) is not None:
                self._usage.train_sequences += len(mask)
                self._tokens = self._tokens + mask.sum()

        inner(model).base_model.register_forward_pre_hook(count, with_kwargs=True)
        return model
