"""How the labels of a simulated task come about: the responses, the annotator, what a label is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True)
class Annotator:
    """A simulated annotator: Bradley-Terry with a temperature, a flip rate and ties.

    It chooses one of several responses with probability softmax(gold / temperature), which for two
    is sigmoid((gold(a) - gold(b)) / temperature). It ranks by choosing the best, then the best of
    the remaining ones (Plackett-Luce). It likes a single response with the probability that it
    would choose it over a response whose gold reward is the mean plus the strictness.

    Attributes:
        temperature: In units of the gold reward; higher is noisier.
        flip_rate: Probability that one of the other responses is chosen instead.
        tie_margin: Where all gold rewards differ by less, the choice is random.
        length_bonus: What the annotator adds to the gold reward for each word of a response.
        strictness: How far above the mean the gold reward is that a single response is compared
            with. Above 0 fewer are liked, below 0 more: unpaired labels are unbalanced. Other
            labels do not depend on it.
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    flip_rate: Annotated[float, Ge(0), Le(0.5)] = 0.0
    tie_margin: Annotated[float, Ge(0)] = 0.0
    length_bonus: float = 0.0
    strictness: float = 0.0


@dataclass(frozen=True)
class FeedbackFormat:
    """What the annotator gives: the better of a pair, the best of several, or their order.

    Methods that learn from unpaired labels get them from the same annotator, as many as the
    annotator made choices: on the first response of each request, or on the first n - 1 where n
    are ranked.

    Attributes:
        kind: What a label is.
        responses: How many responses the annotator chooses among, or ranks.
    """

    kind: Literal["pairs", "choices", "rankings"] = "pairs"
    responses: Annotated[int, Ge(2), Le(1024)] = 2

    def __post_init__(self) -> None:
        if self.kind == "pairs" and self.responses != 2:
            raise ValueError(
                "feedback_format.responses must be 2 for pairs; more for choices and rankings"
            )

    @property
    def labels(self) -> int:
        """How many labels one request counts for: a ranking of n is n - 1 choices."""
        return self.responses - 1 if self.kind == "rankings" else 1


@dataclass(frozen=True)
class ResponseSource:
    """Where the labeled responses come from: the SFT policy by default.

    Labels say little about responses that the source hardly ever gives.

    Attributes:
        policy: Which policy is sampled.
        temperature: Of sampling; above 1 the responses are more diverse.
        tilting: KL strength of an exponential tilting towards gold. If set, half of the responses
            are resampled from those for the same prompt with weights exp(gold / tilting), about
            as the optimal policy at that strength would give them.
        coverage: Share of the words that demonstrations begin with, the same at all seeds. What
            begins with another word is drawn again, so it gets no label. For embedded tasks only.
        distinct: Whether all responses of a label differ: equal ones are drawn again.
        shared_start: Share of the labels whose responses all begin with the same word: others are
            drawn again, and the first too where its word is very rare.
    """

    policy: Literal["sft", "base_model"] = "sft"
    temperature: Annotated[float, Gt(0)] = 1.0
    tilting: Annotated[float, Gt(0)] | None = None
    coverage: Annotated[float, Gt(0), Le(1)] = 1.0
    distinct: bool = False
    shared_start: Annotated[float, Ge(0), Le(1)] = 0.0

    def __post_init__(self) -> None:
        if self.distinct and self.tilting is not None:
            raise ValueError("response_source.distinct is not possible with tilting, which repeats")
        if self.shared_start and self.tilting is not None:
            raise ValueError(
                "response_source.shared_start is not possible with tilting, which resamples"
            )

    def shares_start(self, request: int) -> bool:
        """Return whether all responses of a request must begin with the same word.

        Args:
            request: Its number, from 0.
        """
        return int((request + 1) * self.shared_start) > int(request * self.shared_start)
