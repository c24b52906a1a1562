"""How methods are trained, whatever their policies are evaluated with."""

from __future__ import annotations

from bench.execution.training import training_sampling
from methods.core.models.sampling import SamplingParams


def test_methods_sample_with_parameters_that_have_gradients() -> None:
    soft = SamplingParams(temperature=0.7, max_new_tokens=3)
    assert training_sampling(soft) == soft
    assert training_sampling(SamplingParams(temperature=0)) == SamplingParams()
    without_cuts = SamplingParams(temperature=0.7)
    assert training_sampling(SamplingParams(temperature=0.7, top_k=5)) == without_cuts
    assert training_sampling(SamplingParams(temperature=0.7, top_p=0.9)) == without_cuts
