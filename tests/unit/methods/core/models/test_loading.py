"""LoRA: only adapters are trained and saved, and the reference is the model under them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.models import PROMPTS, SAMPLING
from safetensors.torch import load_file, save_file

from methods.core.models.loading import Loading, Lora, adapted, inner, merged
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy, load_policy
from methods.core.models.pretrained import WeightsError
from methods.core.models.reward import RewardModel
from methods.core.training.context import Context
from methods.dpo import DPO
from methods.ppo import PPO

MakeContext = Callable[..., Context]
LORA = Loading(lora=Lora(rank=4, alpha=16))
QUICK_DPO = DPO(beta=0.1, learning_rate=1e-2, examples=256, batch_size=16)
QUICK_PPO = PPO(
    kl_coef=0.01, episodes=256, batch_size=32, minibatches=2, learning_rate=2e-2, value_init="zero"
)


def lora_context(make_context: MakeContext, **changes: Any) -> Context:
    context = make_context(**changes)
    context.loading = LORA
    return context


def kl_of(policy: ModelPolicy, reference: ModelPolicy) -> float:
    texts = policy.generate(PROMPTS * 20, 0, SAMPLING)
    ours, theirs = (p.logprobs(PROMPTS * 20, texts, SAMPLING) for p in (policy, reference))
    return sum(a - b for a, b in zip(ours, theirs, strict=True)) / len(texts)


@pytest.mark.parametrize("method", [QUICK_DPO, QUICK_PPO], ids=["dpo", "ppo"])
def test_only_the_adapter_is_trained_and_the_reference_is_the_model_without_it(
    method: Any, make_context: MakeContext, sft_folder: Path, tmp_path: Path
) -> None:
    context = lora_context(make_context)
    policy = method.train(context)
    assert isinstance(policy, ModelPolicy)
    base = ModelPolicy.load(sft_folder, "cpu")
    texts = base.generate(PROMPTS, 1, SAMPLING)
    # With its adapter off, the trained model is the SFT policy to the last bit.
    assert context.reference.logprobs(PROMPTS, texts, SAMPLING) == base.logprobs(
        PROMPTS, texts, SAMPLING
    )
    assert policy.logprobs(PROMPTS, texts, SAMPLING) != base.logprobs(PROMPTS, texts, SAMPLING)
    assert kl_of(policy, base) > 0.01
    # Only the adapter is saved, and peft loads it.
    policy.save(tmp_path / "saved")
    names = {file.name for file in (tmp_path / "saved").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= names
    assert "model.safetensors" not in names and "ref" not in names
    from peft import AutoPeftModelForCausalLM

    loaded = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "saved")
    again = ModelPolicy(loaded, policy.tokenizer)
    expected = policy.logprobs(PROMPTS, texts, SAMPLING)
    assert again.logprobs(PROMPTS, texts, SAMPLING) == pytest.approx(expected, abs=1e-5)
    ours: Any = load_policy(tmp_path / "saved", "cpu")
    assert ours.logprobs(PROMPTS, texts, SAMPLING) == pytest.approx(expected, abs=1e-5)


def test_few_weights_are_trained_and_tokens_are_counted(make_context: MakeContext) -> None:
    context = lora_context(make_context)
    policy = QUICK_DPO.train(context)
    assert isinstance(policy, ModelPolicy)
    trained = [p.numel() for p in policy.model.parameters() if p.requires_grad]
    assert 0 < sum(trained) < 0.5 * sum(p.numel() for p in policy.model.parameters())
    assert context.usage.train_tokens > 0
    whole = make_context()
    QUICK_DPO.train(whole)
    assert context.usage.train_tokens == whole.usage.train_tokens


def test_before_training_policy_and_reference_agree(make_context: MakeContext) -> None:
    context = lora_context(make_context)
    policy = context.start()
    assert not any(module.training for module in policy.model.modules())
    batch, logprobs = policy.sample(PROMPTS, 0, SAMPLING)
    with torch.no_grad():
        reference = token_logprobs(context.reference.model, batch, SAMPLING)
    assert torch.allclose(logprobs, reference, atol=1e-5)


def test_ppo_resumes_with_adapters(make_context: MakeContext, tmp_path: Path) -> None:
    method = PPO(kl_coef=0.05, episodes=128, batch_size=32, minibatches=2, save_every=1)
    whole = method.train(lora_context(make_context))
    stopped = lora_context(make_context)
    real, calls = stopped.save_progress, []

    def stop(state: dict[str, Any]) -> None:
        real(state)
        calls.append(state)
        if len(calls) == 2:
            raise KeyboardInterrupt

    stopped.save_progress = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        method.train(stopped)
    resumed = lora_context(make_context)
    resumed.workdir = stopped.workdir
    again = method.train(resumed)
    texts = whole.generate(PROMPTS, 1, SAMPLING)
    assert again.logprobs(PROMPTS, texts, SAMPLING) == pytest.approx(
        whole.logprobs(PROMPTS, texts, SAMPLING), abs=1e-5
    )
    # The weights under the adapters are not saved.
    assert all("lora" in name for name in calls[0]["policy"])


def test_small_changes_survive_a_merge_into_weights_in_bf16(sft_folder: Path) -> None:
    policy = ModelPolicy.load(sft_folder, "cpu", Loading(lora=Lora(rank=4), dtype="bfloat16"))
    model = adapted(policy.model, LORA)
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data = 1e-4 * torch.randn_like(weight)
    layer = inner(model).model.layers[0].mlp.up_proj
    before, change = layer.weight.detach().float(), layer.get_delta_weight("default").detach()
    assert (before.bfloat16() + change.bfloat16() == before.bfloat16()).float().mean() > 0.3
    whole = merged(model)
    assert type(whole).__name__ == "LlamaForCausalLM"
    after = whole.model.layers[0].mlp.up_proj.weight
    assert after.dtype == torch.float32
    assert torch.allclose(after - before, change, rtol=1e-2, atol=1e-7)


def test_merged_adapters_compute_what_they_did_unmerged(sft_folder: Path) -> None:
    policy = ModelPolicy.load(sft_folder, "cpu")
    policy.model = adapted(policy.model, LORA)
    torch.manual_seed(0)
    for name, weight in policy.model.named_parameters():
        if "lora_B" in name:
            weight.data = 0.1 * torch.randn_like(weight)
    texts = policy.generate(PROMPTS, 1, SAMPLING)
    expected = policy.logprobs(PROMPTS, texts, SAMPLING)
    policy.model = merged(policy.model)
    assert policy.logprobs(PROMPTS, texts, SAMPLING) == pytest.approx(expected, abs=1e-4)
    assert not any("lora" in name for name, _ in policy.model.named_parameters())


def test_adapters_are_evaluated_on_the_weights_they_were_trained_on(
    make_context: MakeContext, tmp_path: Path
) -> None:
    context = lora_context(make_context)
    context.loading = Loading(lora=Lora(rank=4), dtype="bfloat16")
    policy = context.start()
    texts = policy.generate(PROMPTS, 1, SAMPLING)
    policy.save(tmp_path / "saved")
    loaded: Any = load_policy(tmp_path / "saved", "cpu")
    weights = {p.dtype for n, p in loaded.model.named_parameters() if "lora" not in n}
    assert weights == {torch.bfloat16}
    assert loaded.logprobs(PROMPTS, texts, SAMPLING) == policy.logprobs(PROMPTS, texts, SAMPLING)


def test_a_critic_that_starts_from_the_reward_model_leaves_one_copy_of_the_policy(
    make_context: MakeContext, sft_folder: Path, tmp_path: Path
) -> None:
    from bench.pipeline.stages.training.reward_training import new_reward_model

    tokenizer = ModelPolicy.load(sft_folder, "cpu").tokenizer
    RewardModel(new_reward_model(sft_folder, 0), tokenizer).save(tmp_path / "reward")
    context = lora_context(make_context, reward_folder=tmp_path / "reward")
    critic = context.value_model("reward_model")
    assert critic.score.weight.count_nonzero() > 0
    policy, reference = context.start(), context.reference
    ours = {weight.data_ptr() for weight in policy.model.parameters()}
    assert all(weight.data_ptr() in ours for weight in reference.model.parameters())


def test_new_adapters_of_policy_and_critic_depend_on_the_seed_alone(
    make_context: MakeContext,
) -> None:
    adapters = []
    for seed in (0, 0, 1):
        context = lora_context(make_context, seed=seed)
        models = [context.value_model("zero"), context.start().model]
        state = [w for model in models for n, w in model.named_parameters() if "lora_A" in n]
        adapters.append(torch.cat([weight.flatten() for weight in state]))
    assert torch.equal(adapters[0], adapters[1]) and not torch.equal(adapters[0], adapters[2])


def test_new_adapters_depend_on_their_seed_alone(sft_folder: Path) -> None:
    first, second, third = (
        adapted(ModelPolicy.load(sft_folder, "cpu").model, LORA, seed=seed).state_dict()
        for seed in (0, 0, 1)
    )
    before = torch.get_rng_state()
    adapted(ModelPolicy.load(sft_folder, "cpu").model, LORA, seed=2)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


def test_adapters_without_some_of_their_weights_are_refused(
    make_context: MakeContext, tmp_path: Path
) -> None:
    policy = lora_context(make_context).start()
    policy.save(tmp_path / "saved")
    assert isinstance(load_policy(tmp_path / "saved", "cpu"), ModelPolicy)
    file = tmp_path / "saved" / "adapter_model.safetensors"
    weights = load_file(file)
    removed = min(weights)
    save_file({name: weight for name, weight in weights.items() if name != removed}, file)
    with pytest.raises(WeightsError, match="weights of adapters are missing") as caught:
        load_policy(tmp_path / "saved", "cpu")
    assert removed.removesuffix(".weight") in str(caught.value)
