"""The design of a calibration: pairs of methods and settings on many small instances of `exact`.

Each instance has its own gold reward, text and seed. Which of two methods is better is a fact about
all instances; a comparison sees six of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from bench.analysis.statistics import SEEDS_FOR_VERDICT
from bench.cache.store import Store
from bench.calibration.replicas import DPOReplica, PPOReplica
from bench.evaluation.reference_samples import ReferenceSamples
from bench.execution.plan import Work
from bench.execution.run import Run
from bench.pipeline.base import Pipeline
from bench.pipeline.embedded import EmbeddedPipeline
from bench.tasks.base import Architecture, RewardTraining, Training
from bench.tasks.exact import Exact
from methods.base import Method
from methods.best_of_n import BestOfN
from methods.core.models.sampling import SamplingParams
from methods.dpo import DPO
from methods.ppo import PPO
from methods.ppo_gold import PPOGold
from methods.sft import SFT

INSTANCES_PER_COMPARISON = SEEDS_FOR_VERDICT
ITSELF, CRIPPLED, KNOWN = "itself", "crippled", "known order"
DPO_SETTINGS: dict[str, Any] = {
    "beta": 0.3,
    "examples": 512,
    "batch_size": 32,
    "learning_rate": 5e-3,
}
PPO_SETTINGS: dict[str, Any] = {
    "kl_coef": 0.2,
    "episodes": 512,
    "batch_size": 128,
    "minibatches": 2,
    "learning_rate": 7e-3,
    "value_learning_rate": 1e-2,
}


class Arm(NamedTuple):
    """One side of a comparison.

    Attributes:
        name: The method's name.
        method: The method with all its hyper-parameters.
        params: The hyper-parameters in which it differs from the method's usual setting here.
    """

    name: str
    method: Method
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def title(self) -> str:
        """The name that tables show, without the number of a replica."""
        shown = [f"{key} {value}" for key, value in self.params if key != "replica"]
        return " ".join([self.name, *shown])


class Pair(NamedTuple):
    """Two arms that are compared.

    Attributes:
        kind: ITSELF, CRIPPLED or KNOWN.
        ours: The first arm.
        theirs: The second arm.
    """

    kind: str
    ours: Arm
    theirs: Arm

    @property
    def title(self) -> str:
        """The names of both arms."""
        return f"{self.ours.title} vs {self.theirs.title}"


def _arm(name: str, method: Method, **params: Any) -> Arm:
    return Arm(name, replace(method, **params), tuple(params.items()))


SFT_POLICY = Arm("sft", SFT())
DPO_ARM, PPO_ARM = Arm("dpo", DPO(**DPO_SETTINGS)), Arm("ppo", PPO(**PPO_SETTINGS))
PPO_GOLD = Arm("ppo_gold", PPOGold(**PPO_SETTINGS))
BEST_OF = {n: _arm("best_of_n", BestOfN(), n=n) for n in (2, 3, 4)}
# A quarter of the training is easy to tell from all of it, three quarters are not.
CRIPPLED_PAIRS = [
    Pair(CRIPPLED, arm, _arm(arm.name, arm.method, **{field: amount}))
    for amount in (128, 256, 384)
    for arm, field in ((PPO_ARM, "episodes"), (DPO_ARM, "examples"))
]
KNOWN_PAIRS = [
    Pair(KNOWN, ours, theirs)
    for ours, theirs in (
        (BEST_OF[4], BEST_OF[2]),
        (BEST_OF[4], BEST_OF[3]),
        (BEST_OF[2], SFT_POLICY),
        (BEST_OF[4], SFT_POLICY),
        (DPO_ARM, SFT_POLICY),
        (PPO_ARM, SFT_POLICY),
        (PPO_GOLD, DPO_ARM),
        (PPO_GOLD, PPO_ARM),
        (PPO_ARM, BEST_OF[2]),
        (DPO_ARM, BEST_OF[2]),
        (DPO_ARM, PPO_ARM),
        (DPO_ARM, _arm("dpo", DPO_ARM.method, beta=0.1)),
        (PPO_ARM, _arm("ppo", PPO_ARM.method, kl_coef=0.1)),
    )
]


@dataclass(frozen=True)
class Size:
    """The size of a calibration.

    Attributes:
        groups: Groups of six instances. No two groups share an instance.
        repeats: How often each group compares a method with itself, each time with new policies.
        pairs: How many pairs of each other kind are compared; None for all.
        itself: The methods that are compared with themselves.
        simulated: How many comparisons of each kind are simulated without training; None for as
            many as each kind has by default.
    """

    groups: int = 20
    repeats: int = 5
    pairs: int | None = None
    itself: tuple[str, ...] = ("dpo", "ppo")
    simulated: int | None = None


FULL = Size()
QUICK = Size(groups=2, repeats=1, pairs=1, itself=("ppo",), simulated=20)


def pairs_of(size: Size) -> list[Pair]:
    """Return all pairs. A method's pair with itself is there `repeats` times."""
    replicas: dict[str, tuple[type[Method], dict[str, Any]]] = {
        "dpo": (DPOReplica, DPO_SETTINGS),
        "ppo": (PPOReplica, PPO_SETTINGS),
    }
    pairs = []
    for name in size.itself:
        replica, settings = replicas[name]
        arms = [_arm(name, replica(**settings), replica=i) for i in range(2 * size.repeats)]
        pairs += [Pair(ITSELF, *arms[i : i + 2]) for i in range(0, len(arms), 2)]
    return pairs + CRIPPLED_PAIRS[: size.pairs] + KNOWN_PAIRS[: size.pairs]


def small_task(instance: int) -> Exact:
    """Return an instance with 133 responses to each prompt, on which training takes a second."""
    return Exact(
        instance=instance,
        length=2,
        labels=256,
        architecture=Architecture(layers=1, hidden=16, heads=2, intermediate=32),
        pretraining=Training(2048, 1, 64, 1e-2),
        sft=Training(512, 1, 64, 3e-3),
        reward_model=RewardTraining(6, 64, 1e-2),
    )


@dataclass
class Design(Work):
    """The work of a calibration.

    Attributes:
        pairs: The pairs that are compared. Each arm has a run on each instance.
    """

    pairs: list[Pair]

    @classmethod
    def of(cls, size: Size, store: Store) -> Design:
        """Return the design of a size, with the runs ordered by instance."""
        pairs = pairs_of(size)
        arms = dict.fromkeys(arm for pair in pairs for arm in (pair.ours, pair.theirs))
        reference_samples: dict[Pipeline, ReferenceSamples] = {}
        runs: list[Run] = []
        for instance in range(size.groups * INSTANCES_PER_COMPARISON):
            pipeline = EmbeddedPipeline(small_task(instance), instance, "cpu", store)
            sampling = SamplingParams(max_new_tokens=pipeline.task.max_new_tokens)
            samples = ReferenceSamples(pipeline, sampling, frontier_samples=64)
            reference_samples[pipeline] = samples
            runs += [_run(arm, samples) for arm in arms]
        return cls(reference_samples, runs, pairs)

    def sides(self) -> Iterator[tuple[Pair, int, Run, Run]]:
        """Yield each pair on each instance: the pair, the instance, and the run of either arm."""
        runs = {(run.pipeline.seed, run.name, run.params): run for run in self.runs}
        for pair in self.pairs:
            for pipeline in self.pipelines:
                ours, theirs = (
                    runs[pipeline.seed, arm.name, arm.params] for arm in (pair.ours, pair.theirs)
                )
                yield pair, pipeline.seed, ours, theirs


def _run(arm: Arm, samples: ReferenceSamples) -> Run:
    return Run(
        name=arm.name,
        method=arm.method,
        params=arm.params,
        reference_samples=samples,
        budget=1_000_000,
        per_prompt=2,
    )
