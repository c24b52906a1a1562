"""PPO here against TRL's PPOTrainer, which TRL had up to release 1.12: time and quality.

Install that release beside this project, and name its Python:

    python3.11 -m venv /tmp/trl && /tmp/trl/bin/pip install torch==2.13.0 trl==1.12.0
    .venv/bin/python docs/ppo_vs_trl.py /tmp/trl/bin/python

Both train the SFT policy of the task `polite` against its reward model, with the same
hyper-parameters, in processes of one thread that take turns. Only training is timed, not loading.
Reward and KL are measured here, on validation prompts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RUNS, SAMPLES = 3, 2048
KL_COEF, LEARNING_RATE, CLIP, VALUE_CLIP, VALUE_COEF = 0.2, 1.4e-3, 0.1, 0.2, 0.1
EPISODES, BATCH, MINIBATCHES, EPOCHS, LENGTH = 3072, 96, 3, 2, 32


def main(trl_python: str) -> None:
    """Run the comparison and print a line for each run."""
    os.environ["OMP_NUM_THREADS"] = "1"
    from bench.cache.store import Store
    from bench.pipeline.embedded import EmbeddedPipeline
    from bench.tasks.polite import Polite

    pipeline = EmbeddedPipeline(Polite(), 0, "cpu", Store(Path(".cache")))
    pipeline.prepare()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        inputs = {
            "sft": str(pipeline.folder("sft").resolve()),
            "reward_model": str(pipeline.folder("reward_model").resolve()),
            "prompts": pipeline.prompts("train"),
        }
        seconds: dict[str, list[float]] = {"here": [], "trl": []}
        for run in range(RUNS):
            for name, python in (("here", sys.executable), ("trl", trl_python)):
                settings = inputs | {"seed": run, "out": str(work / f"{name}{run}")}
                (work / "settings.json").write_text(json.dumps(settings))
                command = [python, __file__, f"--{name}", str(work / "settings.json")]
                output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                seconds[name].append(float(output.stdout.split()[-1]))
                reward, kl = measured(pipeline, Path(settings["out"]))
                print(f"{name:4} {seconds[name][-1]:5.1f} s  reward {reward:.2f}  KL {kl:.2f} nats")
    ratios = [trl / here for here, trl in zip(seconds["here"], seconds["trl"], strict=True)]
    print(f"times as fast as TRL: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


def measured(pipeline: Any, folder: Path) -> tuple[float, float]:
    """Return the mean gold reward of a policy, and its KL to the SFT policy (nats)."""
    from methods.core.models.policy import ModelPolicy
    from methods.core.models.sampling import SamplingParams

    policy = ModelPolicy.load(folder, "cpu")
    validation = pipeline.prompts("validation")
    prompts = (validation * (SAMPLES // len(validation) + 1))[:SAMPLES]
    sampling = SamplingParams(max_new_tokens=LENGTH)
    responses = policy.generate(prompts, 0, sampling)
    rewards = pipeline.reward(prompts, responses)
    pairs = zip(
        policy.logprobs(prompts, responses, sampling),
        pipeline.sft().logprobs(prompts, responses, sampling),
        strict=True,
    )
    log_ratios = [after - before for after, before in pairs]
    return sum(rewards) / SAMPLES, sum(log_ratios) / SAMPLES


def train_here(settings: dict[str, Any]) -> float:
    """Train with PPO here, save the policy, and return the seconds of the training."""
    from methods.core.models.reward import load_reward
    from methods.core.models.sampling import SamplingParams
    from methods.core.training.context import Context
    from methods.ppo import PPO

    reward_folder = Path(settings["reward_model"])
    with tempfile.TemporaryDirectory() as workdir:
        context = Context(
            sft=Path(settings["sft"]),
            prompts=settings["prompts"],
            labels=[],
            sampling=SamplingParams(max_new_tokens=LENGTH),
            budget=EPISODES,
            seed=settings["seed"],
            workdir=Path(workdir),
            device="cpu",
            reward_function=load_reward(reward_folder, "cpu"),
            reward_folder=reward_folder,
        )
        method = PPO(
            kl_coef=KL_COEF,
            episodes=EPISODES,
            batch_size=BATCH,
            minibatches=MINIBATCHES,
            epochs=EPOCHS,
            clip=CLIP,
            value_clip=VALUE_CLIP,
            value_coef=VALUE_COEF,
            learning_rate=LEARNING_RATE,
        )
        started = time.perf_counter()
        policy = method.train(context)
        seconds = time.perf_counter() - started
    policy.save(Path(settings["out"]))
    return seconds


def train_by_trl(settings: dict[str, Any]) -> float:
    """Train with TRL's PPOTrainer, save the policy, and return the seconds of the training."""
    from datasets import Dataset
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(settings["sft"], padding_side="left")
    causal, classifier = AutoModelForCausalLM, AutoModelForSequenceClassification
    policy, reference = (causal.from_pretrained(settings["sft"]) for _ in range(2))
    reward, critic = (classifier.from_pretrained(settings["reward_model"]) for _ in range(2))
    rows = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
        )
        for prompt in settings["prompts"]
    ]
    ids = tokenizer(rows, add_special_tokens=False)["input_ids"]
    # As many rows as a batch needs: the trainer's loader takes each prompt once in a pass.
    data = Dataset.from_dict({"input_ids": ids * -(-BATCH // len(ids))})
    config = PPOConfig(
        output_dir=settings["out"],
        seed=settings["seed"],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        learning_rate=LEARNING_RATE,
        adam_epsilon=1e-5,
        # With gradient accumulation, it would step once for all minibatches of an epoch.
        per_device_train_batch_size=BATCH,
        num_mini_batches=MINIBATCHES,
        local_rollout_forward_batch_size=BATCH,
        total_episodes=EPISODES,
        num_ppo_epochs=EPOCHS,
        num_sample_generations=0,
        response_length=LENGTH,
        temperature=1.0,
        stop_token="eos",
        kl_coef=KL_COEF,
        cliprange=CLIP,
        cliprange_value=VALUE_CLIP,
        vf_coef=VALUE_COEF,
    )
    trainer = PPOTrainer(
        args=config,
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward,
        value_model=critic,
        train_dataset=data,
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    policy.save_pretrained(settings["out"])
    tokenizer.save_pretrained(settings["out"])
    return seconds


if __name__ == "__main__":
    if len(sys.argv) == 3:
        train = {"--here": train_here, "--trl": train_by_trl}[sys.argv[1]]
        print(train(json.loads(Path(sys.argv[2]).read_text())))
    else:
        main(sys.argv[1])
