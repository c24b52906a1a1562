"""recorded: preferences of people, from a file or a data set. There is no gold reward.

A judge measures the policies: a separate reward model, trained on prompts that nothing else sees,
or a ready-made sequence classifier. Results state how often it agrees with people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from bench.data.forms import COLUMNS
from bench.data.splits import Shares
from bench.tasks.base import RewardTraining, Task, Training
from bench.tasks.sizes import pretrained_elsewhere
from methods.core.models.loading import Loading


@dataclass(frozen=True)
class Classifier:
    """A ready-made sequence classifier as a reward.

    Attributes:
        model: A folder or a hub id; empty for none.
        label: Whose log-odds are the reward, where the classifier has several outputs.
        probability: Whether the reward is the label's probability instead.
    """

    model: str = ""
    label: str = ""
    probability: bool = False


@dataclass(frozen=True)
class Recorded(Task):
    """Recorded preferences: pairs, rankings or unpaired labels of people.

    Attributes:
        data: A file (JSONL, JSON, CSV or Parquet), a folder of the datasets library, or a hub id.
        split: The split to read, of a folder or a hub data set.
        columns: The data's names for our columns, where they differ.
        text: "chat" where prompts are turns, "plain" where a response continues the prompt's text.
        rows: At most so many rows are read; 0 for all.
        bad_rows: The largest share of rows that may be unusable.
        shares: Of the prompts in each split; `judge` is for the judge's reward model.
        eval_prompts: At most so many of the validation and of the test prompts are answered.
        model: An embedded size (tiny, 1M, 10M, 50M, 150M), pretrained on the text, or a folder or
            hub id.
        base: "pretrained" takes the model as the SFT policy; "sft first" fine-tunes it on the
            preferred responses.
        loading: How the model is loaded and trained.
        max_prompt_tokens: The longest prompt; 0 for what the model takes.
        response_tokens: The longest response; recorded responses are cut there.
        pretraining: Of an embedded size.
        sft: Of the SFT policy.
        reward_model: Training of the reward model.
        judge_model: What the judge starts from; the policies' base model by default.
        judge: Training of the judge.
        reward_classifier: Replaces the reward model that is trained here.
        judge_classifier: Replaces the judge that is trained here.
    """

    name: ClassVar = "recorded"
    reward_source: ClassVar = "judge"
    takes_data: ClassVar = True

    data: str = ""
    split: str = "train"
    columns: dict[str, str] = field(default_factory=dict, hash=False)
    text: Literal["chat", "plain"] = "chat"
    rows: Annotated[int, Ge(0)] = 0
    bad_rows: Annotated[float, Ge(0), Le(1)] = 0.05
    shares: Shares = Shares()
    eval_prompts: Annotated[int, Gt(1)] = 64
    model: str = "tiny"
    base: Literal["pretrained", "sft first"] = "sft first"
    loading: Loading = Loading(group_by_length=True)
    max_prompt_tokens: Annotated[int, Ge(0)] = 0
    response_tokens: Annotated[int, Gt(1)] = 64
    pretraining: Training = Training(100_000, 4, 16, 4e-3)
    sft: Training = Training(20_000, 2, 16, 1e-3)
    reward_model: RewardTraining = RewardTraining(2, 16, 1e-3)
    judge_model: str = ""
    judge: RewardTraining = RewardTraining(2, 16, 1e-3)
    reward_classifier: Classifier = Classifier()
    judge_classifier: Classifier = Classifier()

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("data: must name a file, a folder or a data set on the hub")
        if unknown := set(self.columns) - set(COLUMNS):
            raise ValueError(f"columns: unknown '{min(unknown)}'; allowed: {', '.join(COLUMNS)}")

    @property
    def max_new_tokens(self) -> int:
        return self.response_tokens

    @property
    def has_small_model(self) -> bool:
        return all(name in ("", "tiny", "1M") for name in self._models)

    @property
    def _models(self) -> list[str]:
        classifiers = [self.reward_classifier.model, self.judge_classifier.model]
        return [self.model, self.judge_model, *classifiers]

    def external_sources(self) -> list[str]:
        return [self.data, *pretrained_elsewhere(self._models)]
