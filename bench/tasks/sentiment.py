"""sentiment: continue the beginning of a text so that a classifier likes it.

The controlled setting of the DPO paper (Rafailov et al., 2023, section 6.1): the first two to eight
tokens of film reviews are prompts, and a sentiment classifier is the gold reward. This gives a
frontier of reward against KL on recorded text and with a pretrained model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from bench.data.splits import Shares
from bench.tasks.base import MOST_EXAMPLES, RewardTraining, Simulated, Training
from bench.tasks.labeling import Annotator, FeedbackFormat
from bench.tasks.recorded import Classifier
from bench.tasks.sizes import pretrained_elsewhere
from methods.core.models.loading import Loading


@dataclass(frozen=True)
class Sentiment(Simulated):
    """Continue the beginning of a text so that a classifier likes it.

    Attributes:
        data: Texts: a file, a folder of the datasets library, or a hub id.
        split: The split to read, of a folder or a hub data set.
        column: The column with the text.
        rows: At most so many rows are read; 0 for all.
        model: The base model: a folder or a hub id.
        classifier: The gold reward.
        shortest: The shortest prompt, in tokens.
        longest: The longest prompt, in tokens.
        response_tokens: The longest response, in tokens.
        shares: Of the prompts in each split.
        eval_prompts: At most so many of the validation and of the test prompts are answered.
        loading: How the model is loaded and trained.
        labels: How many labels the annotator gives.
        feedback_format: The kind of labels and the responses to each prompt.
        annotator: How the annotator decides.
        sft: Training of the SFT policy.
        reward_model: Training of the reward model.
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
    # Four continuations of each prompt are ranked: six pairs.
    labels: Annotated[int, Gt(0), Le(MOST_EXAMPLES)] = 75_000
    feedback_format: FeedbackFormat = FeedbackFormat("rankings", 4)
    # Nearly no noise: the order is the classifier's.
    annotator: Annotator = Annotator(temperature=1e-4)
    sft: Training = Training(25_000, 1, 64, 1e-5)
    reward_model: RewardTraining = RewardTraining(3, 64, 1e-5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.longest:
            raise ValueError(f"shortest must be at most longest, {self.longest}")
        if self.response_source.coverage != 1:
            raise ValueError("response_source.coverage must be 1: it is for embedded tasks only")

    @property
    def max_new_tokens(self) -> int:
        return self.response_tokens

    @property
    def has_small_model(self) -> bool:
        return False

    def external_sources(self) -> list[str]:
        return [self.data, *pretrained_elsewhere([self.model, self.classifier.model])]
