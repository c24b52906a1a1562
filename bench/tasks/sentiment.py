"""sentiment: the beginnings of texts, to be continued so that a classifier likes them.

The controlled setting of the DPO paper (Rafailov et al., 2023, section 6.1): films, whose reviews
begin with two to eight tokens, and a classifier of sentiment as the gold reward. So there is a
frontier of reward against KL, on real text and a real model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt

from bench.data.splits import Shares
from bench.tasks.base import Annotator, FeedbackFormat, RewardTraining, Simulated, Training
from bench.tasks.recorded import Classifier
from bench.tasks.sizes import pretrained_elsewhere
from methods.core.models.loading import Loading


@dataclass(frozen=True)
class Sentiment(Simulated):
    """Continue the beginning of a text so that a classifier likes it.

    data, split, column: texts, in a file or on the hub, and where they stand in a row; rows: at
    most so many are read. model: a folder or hub id. classifier: the gold reward.
    shortest, longest: of the beginnings, in tokens. response_tokens: the longest response. shares:
    of the prompts; eval_prompts: of the validation and of the test prompts, at most so many are
    answered. loading: how the model is loaded and trained.
    """

    name: ClassVar = "sentiment"

    data: str = "stanfordnlp/imdb"
    split: str = "train"
    column: str = "text"
    rows: Annotated[int, Ge(0)] = 25_000
    model: str = "openai-community/gpt2-large"
    classifier: Classifier = Classifier(
        "siebert/sentiment-roberta-large-english", "POSITIVE", probability=True
    )
    shortest: Annotated[int, Gt(0)] = 2
    longest: Annotated[int, Gt(0)] = 8
    response_tokens: Annotated[int, Gt(1)] = 64
    shares: Shares = Shares(train=0.9, judge=0.0, validation=0.05, test=0.05)
    eval_prompts: Annotated[int, Gt(1)] = 64
    loading: Loading = Loading()
    # Four continuations of each beginning, put in order: six pairs.
    labels: Annotated[int, Gt(0)] = 75_000
    feedback_format: FeedbackFormat = FeedbackFormat("rankings", 4)
    # The classifier's own order, and no other.
    annotator: Annotator = Annotator(temperature=1e-4)
    sft: Training = Training(25_000, 1, 64, 1e-5)
    reward_model: RewardTraining = RewardTraining(3, 64, 1e-5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.longest:
            raise ValueError(f"shortest must be at most longest, {self.longest}")

    @property
    def max_new_tokens(self) -> int:
        return self.response_tokens

    def external_sources(self) -> list[str]:
        return [self.data, *pretrained_elsewhere([self.model, self.classifier.model])]
