"""Log-probabilities of response tokens: logits are computed there, and nowhere else."""

from __future__ import annotations

import torch
from helpers.models import PROMPTS

from methods.core.models.batch import Batch, make_batch
from methods.core.models.logprobs import (
    next_token_logprobs,
    of_tokens,
    on_batch,
    only_at,
    response_logprobs,
    token_logprobs,
)
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import encode_prompts, encode_responses

PLAIN = SamplingParams()


def some_batch(policy: ModelPolicy) -> Batch:
    responses = encode_responses(policy.tokenizer, ["a b c", "d", "c b </answer>"])
    prompts = encode_prompts(policy.tokenizer, PROMPTS)
    return make_batch(prompts, responses, policy.tokenizer.pad_token_id, "cpu")


def all_logprobs(policy: ModelPolicy, batch: Batch) -> torch.Tensor:
    """Return the log-probabilities of all tokens at every place, [B, P + T, V]."""
    logits = policy.model(
        input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions
    ).logits
    return logits.float().log_softmax(-1)


def test_logits_are_computed_at_the_given_places_alone(reference: ModelPolicy) -> None:
    batch, widths = some_batch(reference), []
    head = reference.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _, __, output: widths.append(output.shape))
    places = torch.tensor([2, 7, 11])
    inputs = {
        "input_ids": batch.ids,
        "attention_mask": batch.mask,
        "position_ids": batch.positions,
    }
    with torch.no_grad():
        full = reference.model(**inputs).logits
        with only_at(reference.model, places):
            some = reference.model(**inputs).logits
        again = reference.model(**inputs).logits
    handle.remove()
    assert widths == [full.shape, (1, 3, full.shape[-1]), full.shape]
    assert torch.allclose(some[0], full.flatten(0, 1)[places], atol=1e-6)
    assert torch.equal(full, again)


def test_responses_have_the_logprobs_of_the_full_computation(reference: ModelPolicy) -> None:
    batch = some_batch(reference)
    mask = batch.response_mask
    with torch.no_grad():
        full = all_logprobs(reference, batch)[:, batch.width - 1 : -1]
        compact = response_logprobs(reference.model, batch, PLAIN)
        tokens = token_logprobs(reference.model, batch, PLAIN)
        vocabulary = next_token_logprobs(reference.model, batch, PLAIN)
    assert compact.shape == (mask.sum(), full.shape[-1])
    assert torch.allclose(compact, full[mask], atol=1e-5)
    assert torch.allclose(vocabulary[mask], full[mask], atol=1e-5)
    expected = full.gather(2, batch.responses.unsqueeze(2)).squeeze(2)
    assert torch.allclose(tokens[mask], expected[mask], atol=1e-5)
    assert bool((tokens[~mask] == 0).all()) and bool((vocabulary[~mask] == 0).all())
    assert torch.equal(tokens, of_tokens(compact, batch))
    assert on_batch(torch.ones(int(mask.sum())), batch).tolist() == mask.float().tolist()


def test_gradients_are_those_of_the_full_computation(reference: ModelPolicy) -> None:
    batch = some_batch(reference)
    model = reference.model
    token_logprobs(model, batch, PLAIN).sum().backward()
    gradients = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad(set_to_none=True)
    full = all_logprobs(reference, batch)[:, batch.width - 1 : -1]
    full.gather(2, batch.responses.unsqueeze(2)).squeeze(2)[batch.response_mask].sum().backward()
    expected = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad(set_to_none=True)
    assert len(gradients) == len(list(model.parameters()))
    for a, b in zip(gradients, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-4)
