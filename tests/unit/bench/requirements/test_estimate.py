"""What experiments take on a machine, whether it fits, and with which changes it would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.preferences import pairs, write_rows
from helpers.shapes import config_folder

from bench.config.experiment import Experiment
from bench.config.files import load_experiment
from bench.requirements.estimate import Estimate, estimates, is_large, large_tasks, remedies
from bench.requirements.machine import Machine
from bench.requirements.words import does_not_fit, summary
from bench.tasks.exact import Exact
from bench.tasks.sentiment import Sentiment


def gpu(gigabytes: float, disk: float = 1e13) -> Machine:
    memory = gigabytes * 1e9
    return Machine("cuda", "a GPU", memory, memory, disk, 1.5e14, 1.5e12, 0.001)


def cpu(gigabytes: float, disk: float = 1e13) -> Machine:
    memory = gigabytes * 1e9
    return Machine("cpu", "two threads", memory, memory, disk, 1.4e11, 1e10)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(write_rows(tmp_path / "prefs.jsonl", pairs(400)))


def experiment(preset: str, data: str, folder: str, **options: Any) -> Experiment:
    content = load_experiment(preset, data=data, model=folder).model_dump()
    content["tasks"]["recorded"]["options"] |= options
    return Experiment.model_validate(content)


def only(found: list[Estimate]) -> Estimate:
    [estimate] = found
    return estimate


def memory_of(estimate: Estimate, name: str) -> float:
    return max(need.memory.total for need in estimate.needs if need.name.startswith(name))


def test_a_billion_parameters_fit_on_80_gb_with_every_method(models: Path, data: str) -> None:
    folder = config_folder(models, "Llama-3.2-1B")
    estimate = only(estimates(experiment("pretrained_1B", data, folder), gpu(80), 1))
    assert estimate.fits and estimate.largest.name.startswith("ppo")
    billion = 1.2358e9
    # Weights, a copy in bf16 to compute with, gradients, and two averages.
    one_model = 16 * billion + 2 * 0.973e9
    assert one_model < memory_of(estimate, "dpo") < one_model + 8e9
    # PPO trains a critic too, and reads a reference and a reward model in bf16.
    assert 2 * one_model + 4 * billion < memory_of(estimate, "ppo") < 2 * one_model + 20e9


def test_on_24_gb_it_needs_adapters(models: Path, data: str) -> None:
    folder = config_folder(models, "Llama-3.2-1B")
    estimate = only(estimates(experiment("pretrained_1B", data, folder), gpu(24), 1))
    assert not estimate.fits
    words = [change for change, after in remedies(estimate) if after.fits]
    assert words and all("LoRA" in change for change in words)


def test_8b_does_not_fit_on_80_gb_without_adapters(models: Path, data: str) -> None:
    folder = config_folder(models, "Llama-3.1-8B")
    estimate = only(estimates(experiment("pretrained_3B", data, folder), gpu(80), 1))
    assert memory_of(estimate, "dpo") > 8.03e9 * 16
    message = does_not_fit(estimate)
    assert "\n" not in message
    assert "it would fit with LoRA (loading.lora.rank: 16, loading.dtype: bfloat16)" in message
    with_adapters = only(estimates(experiment("pretrained_8B", data, folder), gpu(80), 1))
    assert with_adapters.fits and with_adapters.memory > 8.03e9 * 2 * 4


def test_where_several_changes_are_needed_none_is_idle(models: Path, data: str) -> None:
    folder = config_folder(models, "SmolLM2-135M")
    asked = experiment("pretrained_100M", data, folder, response_tokens=1024)
    roomy = only(estimates(asked, cpu(1000), 4))
    [(words, after)] = remedies(only(estimates(asked, cpu(roomy.memory / 1e9 / 10), 4)))
    assert " and " in words and after.fits
    assert "jobs: 1" in words and after.jobs == 1


def test_a_smaller_model_is_all_that_is_left(models: Path, data: str) -> None:
    folder = config_folder(models, "Llama-3.1-8B")
    estimate = only(estimates(experiment("pretrained_8B", data, folder), gpu(10), 1))
    assert remedies(estimate) == []
    assert "use a smaller model" in does_not_fit(estimate)


def test_jobs_multiply_memory(models: Path, data: str) -> None:
    asked = experiment("pretrained_100M", data, config_folder(models, "SmolLM2-135M"))
    one, three = (only(estimates(asked, cpu(64), jobs)) for jobs in (1, 3))
    assert three.memory == 3 * one.memory


def test_only_what_occurs_several_times_runs_several_times_at_once(models: Path, data: str) -> None:
    judge = config_folder(models, "SmolLM2-135M")
    asked = experiment("recorded", data, "tiny", judge_model=judge)
    one, three = (only(estimates(asked, cpu(64), jobs)) for jobs in (1, 3))
    # The judge is trained once, whatever else runs beside it.
    rest = sorted((n.memory.total for n in one.needs if n.name != "judge"), reverse=True)
    assert one.memory < three.memory <= one.memory + 2 * (rest[0] + 5e8)
    assert three.memory < 2 * one.memory


def test_processes_that_train_together_all_hold_the_models(models: Path, data: str) -> None:
    asked = experiment("pretrained_100M", data, config_folder(models, "SmolLM2-135M"))
    one, two = (only(estimates(asked, cpu(64), 1, processes)) for processes in (1, 2))
    assert two.memory == 2 * one.memory
    assert " in 2 processes takes " in does_not_fit(only(estimates(asked, cpu(1), 1, 2)))


def test_smaller_micro_batches_and_checkpointing_save_activations(models: Path, data: str) -> None:
    folder = config_folder(models, "SmolLM2-135M")

    def dpo(**loading: Any) -> float:
        asked = experiment("pretrained_100M", data, folder, loading=loading)
        [need] = [n for n in only(estimates(asked, cpu(64), 1)).needs if "beta=0.5" in n.name]
        return need.memory.activations

    assert dpo(micro_batch_tokens=512) < 0.6 * dpo()
    assert dpo(gradient_checkpointing=True) < 0.6 * dpo()


def test_time_is_that_of_the_operations(models: Path, data: str) -> None:
    asked = experiment("pretrained_cpu", data, config_folder(models, "SmolLM2-135M"))
    estimate = only(estimates(asked, cpu(64), 1))
    [sft] = [need for need in estimate.needs if need.name == "SFT policy"]
    texts = estimate.work.texts
    operations = 6 * (106_203_456 * texts.mean + 49152 * 576 * texts.response)
    assert sft.seconds == pytest.approx(200 * operations / 1.4e11)
    assert estimate.seconds < 3600


def test_what_fills_the_disk_is_said(models: Path, data: str) -> None:
    folder = config_folder(models, "SmolLM2-135M")
    asked = experiment("pretrained_100M", data, folder)
    estimate = only(estimates(asked, cpu(64, disk=1e9), 1))
    # Seven settings, a base model and a judge, and two models for each of six seeds.
    assert estimate.saved == pytest.approx(4 * 134_515_008 * (6 * 7 + 2 + 2 * 6 + 6), rel=0.01)
    assert not estimate.fits and "disk" in does_not_fit(estimate)


def test_without_policies_less_disk_is_needed_and_the_message_says_so(
    models: Path, data: str
) -> None:
    asked = experiment("pretrained_100M", data, config_folder(models, "SmolLM2-135M"))

    def kept(keep: str, policies: int = 0) -> Estimate:
        changed = asked.model_dump() | {"keep": keep}
        changed["evaluation"]["frontier_policies"] = policies
        return only(estimates(Experiment.model_validate(changed), cpu(64, disk=1e9), 2))

    # All are there until it is known which settings are selected.
    assert kept("all").saved == kept("selected").saved
    # One policy of each job, while it is measured.
    model = 4 * 134_515_008
    assert kept("none").saved == kept("all").saved - (6 * 7 - 2) * model
    # A policy that the frontier may sample stays.
    assert kept("none", 2).saved == kept("all").saved
    assert "settings, keep: none (15 GB)" in does_not_fit(kept("selected"))
    assert "keep: none and evaluation.frontier_policies: 0 (15 GB)" in does_not_fit(kept("none", 2))
    assert "keep" not in does_not_fit(kept("none"))


def test_what_the_cache_holds_needs_no_more_disk(models: Path, data: str) -> None:
    asked = experiment("pretrained_100M", data, config_folder(models, "SmolLM2-135M"))
    estimate = only(estimates(asked, cpu(64, disk=2e10), 1))
    assert not estimate.fits
    estimate = only(estimates(asked, replace(cpu(64, disk=2e10), cached=2e10), 1))
    assert estimate.fits and "20 GB of disk besides 20 GB in the cache" in summary(estimate)


def test_a_full_disk_leaves_the_remedies_for_memory(models: Path, data: str) -> None:
    folder = config_folder(models, "SmolLM2-135M")
    asked = experiment("pretrained_100M", data, folder)
    one = only(estimates(asked, cpu(1000), 1))
    message = does_not_fit(only(estimates(asked, cpu(one.memory / 1e9 + 1, disk=1e9), 3)))
    assert "it would fit with jobs: 1" in message and "of disk" in message and "\n" not in message


def test_what_is_assumed_of_data_on_the_hub_is_said(models: Path) -> None:
    folder = config_folder(models, "SmolLM2-135M")
    line = summary(only(estimates(experiment("pretrained_100M", "owner/name", folder), cpu(64), 1)))
    assert "assumed of data that is not read: 50,000 preferences" in line


def test_the_summary_is_one_line_with_memory_time_and_disk(models: Path, data: str) -> None:
    asked = experiment("pretrained_cpu", data, config_folder(models, "SmolLM2-135M"))
    line = summary(only(estimates(asked, cpu(64), 1)))
    assert line.startswith("recorded: about ") and "64 GB of free memory" in line
    assert ("hours" in line or "minutes" in line) and "of disk" in line and "\n" not in line
    close = summary(
        only(estimates(asked, cpu(only(estimates(asked, cpu(64), 1)).memory / 1e9 + 0.1), 1))
    )
    assert "which is close" in close


def test_small_models_are_not_estimated(data: str) -> None:
    assert not large_tasks(load_experiment("default"))
    assert not large_tasks(load_experiment("recorded", data=data))
    assert large_tasks(load_experiment("recorded_gpu", data=data, model="50M"))


def test_models_of_tasks_that_are_not_estimated_may_be_large(models: Path) -> None:
    gpt2 = config_folder(models, "gpt2")
    assert is_large(Sentiment(model=gpt2)) and not is_large(Sentiment(model="tiny"))
    assert not is_large(Exact())


def test_a_large_judge_of_small_policies_is_estimated(models: Path, data: str) -> None:
    judge = config_folder(models, "SmolLM2-135M")
    estimate = only(estimates(experiment("recorded", data, "tiny", judge_model=judge), cpu(64), 1))
    assert estimate.largest.name == "judge" and memory_of(estimate, "judge") > 4 * 4 * 134e6
