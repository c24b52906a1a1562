"""recorded: preferences that people made, in a file or a data set; nobody knows a gold reward.

Policies are measured by a judge: a reward model of its own, trained on prompts that nothing else
sees, or a sequence classifier as it is. How often it agrees with people stands beside its figures.
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
    """A sequence classifier that scores responses as it is.

    model: a folder or a hub id; empty: none. label: whose log-odds are the score, where it has
    several outputs. probability: its probability instead.
    """

    model: str = ""
    label: str = ""
    probability: bool = False


@dataclass(frozen=True)
class Recorded(Task):
    """Recorded preferences: pairs, rankings or unpaired of people.

    data: a file (JSONL, CSV, Parquet), a folder of the datasets library, or a hub id; split: of the
    latter. columns: what ours are called there. text: "chat" where prompts are turns, "plain" where
    the response goes on with the prompt's text. rows: at most so many are read; 0: all. bad_rows:
    the largest share that may be wrong. shares: of the prompts in each split, `judge` for the
    judge's reward model. eval_prompts: of the validation and of the test prompts, at most so many
    are answered. model: a size that is embedded (tiny, 1M, 10M, 50M, 150M) and pretrained on the
    text, or a folder or hub id. base: "pretrained" takes the model as the SFT policy, "sft first"
    fine-tunes it on the responses that people liked. loading: how it is loaded and trained.
    max_prompt_tokens: 0: what the model takes. response_tokens: the longest response; recorded ones
    are cut there. judge_model: what the judge starts from, the policies' base model by default.
    judge: how it trains. reward_classifier, judge_classifier: instead of reward models that are
    trained here.
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

    def external_sources(self) -> list[str]:
        classifiers = [self.reward_classifier.model, self.judge_classifier.model]
        return [self.data, *pretrained_elsewhere([self.model, self.judge_model, *classifiers])]
