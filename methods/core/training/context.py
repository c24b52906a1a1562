"""The context: a method's only access to data, reward, randomness and disk."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from methods.core.feedback import Label
from methods.core.models import distributed
from methods.core.models.loading import AdapterOff, Loading, adapted, without_dropout
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.models.pretrained import load_classifier
from methods.core.models.reward import read_settings
from methods.core.models.sampling import SamplingParams, derive_seed
from methods.core.training.memory import micro_batch_tokens
from methods.core.training.points import append_point, write_points
from methods.core.training.progress import folder_checksum, load_progress, save_progress
from methods.core.training.trainer import trainer_arguments
from methods.core.training.usage import Usage, UsageCounter

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Reward = Callable[[Sequence[str], Sequence[str]], list[float]]
CHECKPOINTS, CHECKPOINT_FILE = "checkpoints", "checkpoint.json"

logger = logging.getLogger("prefrontier")


@dataclass
class Context:
    """All that `Method.train` may use. It counts what is used.

    Attributes:
        sft: Folder of the SFT policy.
        prompts: Training prompts.
        labels: The feedback. Methods read it as `feedback`, which counts it.
        sampling: Sampling parameters, for sampling and log-probabilities alike.
        budget: The most training examples or episodes that the method may use.
        seed: Seed of the run.
        workdir: The only folder that the method may write to.
        device: "cpu" or "cuda".
        reward_function: What `reward` calls. None where the method declares no reward.
        reward_folder: Folder of the reward model behind `reward`, where there is one.
        checkpoints: How many policies to keep during the training.
        loading: Whether adapters are trained or all weights, and in which precision.
        curves: The points that `log` has kept.
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
    _counter: UsageCounter = field(default_factory=UsageCounter)
    _started: ModelPolicy | None = None
    _points_written: bool = False
    # Checksums of the checkpoints that were kept so far, by name.
    _checkpoints: dict[str, str] = field(default_factory=dict)

    @property
    def usage(self) -> Usage:
        """What has been used so far."""
        return self._counter.usage

    def start(self) -> ModelPolicy:
        """Return a fresh trainable copy of the SFT policy, or one with fresh adapters on it.

        It has no dropout: the policy that is trained is the policy that is sampled.
        """
        policy = ModelPolicy.load(self.sft, self.device, self.loading, trainable=True)
        seed = derive_seed("policy adapters", self.seed)
        # Adapters are put on in training mode.
        policy.model = without_dropout(adapted(policy.model, self.loading, seed=seed)).eval()
        self._started = self._started or policy
        return self._counted(policy)

    @cached_property
    def reference(self) -> ModelPolicy:
        """The frozen SFT policy. Where adapters are trained, it is the model under them."""
        if self.loading.adapters:
            started = self._started or self.start()
            off = AdapterOff(started.model)
            return ModelPolicy(off, started.tokenizer, sampler=self.loading.sampler)
        policy = ModelPolicy.load(self.sft, self.device)
        policy.engines.sampler = self.loading.sampler
        policy.model.requires_grad_(False)
        return self._counted(policy)

    def value_model(self, start: Literal["reward_model", "zero"]) -> PreTrainedModel:
        """Return a fresh sequence classifier over the policy's tokens, for a critic.

        Args:
            start: "reward_model" starts from the reward model, if it has the policy's vocabulary.
                "zero", and any other reward model, starts from the SFT policy with a head of zeros.
        """
        options = self.loading.options(self.device)
        if self.starts_from_reward(start) and self.reward_folder:
            model = load_classifier(self.reward_folder, num_labels=1, **options)
        else:
            model = load_classifier(self.sft, new_head=True, num_labels=1, **options)
            model.score.weight.data.zero_()
        seed = derive_seed("critic adapters", self.seed)
        model = without_dropout(adapted(model, self.loading, head="score", seed=seed)).eval()
        return self._counter.count_tokens(model.to(self.device))

    def starts_from_reward(self, start: Literal["reward_model", "zero"]) -> bool:
        """Return whether `value_model` starts from the reward model.

        Its values are then rewards as `reward` returns them, not as a method may scale them.
        """
        return start == "reward_model" and self._reward_shares_tokens()

    def _reward_shares_tokens(self) -> bool:
        from transformers import AutoTokenizer

        if self.reward_folder is None or read_settings(self.reward_folder).get("label") is not None:
            return False
        # Not from `reference`: under adapters, that would start a policy of its own.
        folders = self.reward_folder, self.sft
        first, second = (AutoTokenizer.from_pretrained(folder).get_vocab() for folder in folders)
        return bool(first == second)

    @property
    def feedback(self) -> list[Any]:
        """The labels, of the kind that the method declares: Pair, Choice, Ranking or Unpaired."""
        self._counter.count_labels(len(self.labels) if distributed.is_main() else 0)
        return list(self.labels)

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return the reward of each response to the prompt at the same place.

        It is the learned reward, or the gold reward for a privileged method.

        Raises:
            PermissionError: The method does not declare `feedback = "reward"`.
        """
        if self.reward_function is None:
            raise PermissionError("this method declares no reward: set feedback = 'reward'")
        self._counter.count_rewards(len(responses))
        return self.reward_function(prompts, responses)

    def count_halving(self) -> None:
        """Count that the training ran out of memory and went on with smaller micro-batches."""
        self.usage.micro_batch_halvings += 1

    def log(self, step: int, **metrics: float) -> None:
        """Keep a point of the training curves. `step` counts examples or episodes.

        It is also written to the working folder at once, for those who follow the training.
        """
        point = {"step": step, **{k: float(v) for k, v in metrics.items()}}
        self.curves.append(point)
        if not distributed.is_main():
            return
        # Curves are no results: they are worth no failure.
        with suppress(OSError):
            if self._points_written:
                append_point(self.workdir, point)
            else:
                # A training that was stopped may have left points that it had not saved.
                write_points(self.workdir, self.curves)
        self._points_written = True

    def checkpoint(self, step: int, total: int, policy: Policy) -> None:
        """Keep the policy after this step if a checkpoint is due. Call it after every update.

        With n - 1 checkpoints, they lie at the squares of 1/n, 2/n ... of the training: closer at
        the start, where a policy moves fastest.

        Args:
            step: Examples or episodes so far.
            total: Examples or episodes of the whole training.
            policy: The policy as it is now.
        """
        parts = self.checkpoints + 1
        number = int(parts * (step / total) ** 0.5 + 1e-9)
        folder = self.workdir / CHECKPOINTS / str(number)
        done = folder.name in self._checkpoints
        if not 0 < number < parts or done or not distributed.is_main():
            return
        started = time.perf_counter()
        partial = folder.with_name(f".{number}.partial")
        policy.save(partial)
        (partial / CHECKPOINT_FILE).write_text(json.dumps({"step": step, "total": total}))
        # One that an interrupted training left may be damaged.
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        self._checkpoints[folder.name] = folder_checksum(folder)
        # Saving a checkpoint is not part of the training.
        self._counter.skip(time.perf_counter() - started)

    def trainer_arguments(self, model: PreTrainedModel) -> dict[str, Any]:
        """Return keyword arguments for any `TrainingArguments` or TRL config on this device."""
        return trainer_arguments(model, self.device, self.seed, self.workdir, self.loading)

    def micro_batch_tokens(self, model: PreTrainedModel) -> int:
        """Return the most tokens that go through a model at once in training, padding included."""
        return micro_batch_tokens([model], self.loading, self.device)

    def seconds(self) -> float:
        """Return the seconds of training so far, those before a stop included."""
        return self._counter.seconds()

    def save_progress(self, state: dict[str, Any]) -> None:
        """Save tensors and plain values, so that a killed run can resume from them."""
        if not distributed.is_main():
            return
        content = {
            "state": state,
            "usage": self._counter.state(),
            "curves": self.curves,
            "checkpoints": self._checkpoints,
        }
        save_progress(self.workdir, content)

    def load_progress(
        self, is_whole: Callable[[dict[str, Any]], bool] = lambda state: True
    ) -> dict[str, Any] | None:
        """Return the last saved state and restore usage and curves; None to start anew.

        That is so at a first start, and where something that was saved is damaged.

        Args:
            is_whole: Whether what the method keeps beside the state is as the state says.
        """
        saved = load_progress(self.workdir, self.device)
        if saved is None:
            return None
        folder, checkpoints = self.workdir / CHECKPOINTS, saved["checkpoints"]
        kept = all(folder_checksum(folder / name) == sum_ for name, sum_ in checkpoints.items())
        if not kept or not is_whole(saved["state"]):
            logger.warning("%s: a checkpoint is damaged: the training starts anew", self.workdir)
            return None
        self._counter.restore(saved["usage"])
        self.curves, self._checkpoints = saved["curves"], checkpoints
        state: dict[str, Any] = saved["state"]
        return state

    def _counted(self, policy: ModelPolicy) -> ModelPolicy:
        self._counter.count_tokens(policy.model)
        self._counter.count_samples(policy.model)
        return policy
