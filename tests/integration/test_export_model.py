"""From a results folder to a model that others load, and to answers to one's own prompts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.preferences import experiment_file, make_folder, pairs, write_rows

from bench.commands.experiments.options import Options
from bench.commands.experiments.run import run_bench
from bench.commands.policies.answer import run_answer
from bench.commands.policies.export_model import export_model
from bench.commands.policies.selected import TaskPolicies
from bench.errors import UserError
from methods.core.models.policy import load_policy

METHODS: dict[str, Any] = {
    "sft": {},
    # As many steps of such a size that the policy moves far.
    "dpo": {"grid": {"beta": [0.1]}, "examples": 256, "batch_size": 16, "learning_rate": 5e-3},
    "best_of_n": {"grid": {"n": [2]}},
}
PROMPTS = ["Ada: may I have the lamp number 0?", "a & b"]
RESPONSES = ["Yes, with pleasure.", "No, go away.</s>"]


def compare(folder: Path, kind: str, **options: Any) -> Path:
    """Run a small comparison that starts from a model folder; return its results."""
    model = make_folder(kind, folder / f"{kind}-model")
    data = write_rows(folder / "prefs <b>.jsonl", pairs(120))
    file = experiment_file(folder, data, model=str(model), **options)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"methods": METHODS}))
    out = folder / "out"
    status = run_bench(
        Options(
            str(file),
            jobs=1,
            device="cpu",
            out=out,
            keep="selected",
        )
    )
    assert status == 0
    return out


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache of all runs in this file."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache-of-all")
        patch.setenv("PREFRONTIER_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def whole(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a model like GPT-2, of which all weights were trained."""
    return compare(tmp_path_factory.mktemp("whole"), "gpt2")


@pytest.fixture(scope="module")
def adapted(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a model like Llama with adapters on an SFT policy."""
    folder = tmp_path_factory.mktemp("adapted")
    return compare(folder, "llama", loading={"lora": {"rank": 4}})


def plain_logprobs(folder: Path, *, adapters: bool = False) -> list[float]:
    """Return log-probabilities of responses to prompts, with transformers and peft alone."""
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    kind = AutoPeftModelForCausalLM if adapters else AutoModelForCausalLM
    model, tokenizer = kind.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    sums = []
    for prompt, response in zip(PROMPTS, RESPONSES, strict=True):
        turns = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        start = tokenizer(text, add_special_tokens=False)["input_ids"]
        end = tokenizer(response, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            table = model(torch.tensor([start + end])).logits.double().log_softmax(-1)[0, :-1]
        taken = table.gather(1, torch.tensor([*start[1:], *end])[:, None])
        sums.append(float(taken[len(start) - 1 :].sum()))
    return sums


def policy_logprobs(results: Path, method: str) -> list[float]:
    """Return the same of a policy of the run."""
    policies = TaskPolicies.of(results)
    folder = policies.existing(method).folder
    assert folder is not None
    logprobs = load_policy(folder, "cpu").logprobs(PROMPTS, RESPONSES, policies.sampling)
    assert logprobs is not None
    return logprobs


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def check_no_traces(folder: Path, cache: Path) -> None:
    """Check that no file names the cache, and that none is one of ours."""
    for file in (file for file in folder.rglob("*") if file.is_file()):
        assert str(cache).encode() not in file.read_bytes(), file
        assert file.name not in ("policy.json", "usage.json", "curves.json", "stage.json")


def test_a_whole_model_is_the_policy(whole: Path, cache: Path) -> None:
    out = export_model(whole, method="dpo")
    assert out == whole / "models" / "recorded-dpo"
    assert names(out) == {
        *("README.md", "chat_template.jinja", "config.json", "generation_config.json"),
        *("model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    }
    expected = policy_logprobs(whole, "dpo")
    assert plain_logprobs(out) == pytest.approx(expected, abs=1e-5)
    assert expected != pytest.approx(policy_logprobs(whole, "sft"), abs=0.1)
    check_no_traces(out, cache)
    # Another user's server can read the weights.
    assert (out / "model.safetensors").stat().st_mode & 0o044 == 0o044
    # The class of the tokenizer is one that older versions of transformers know too.
    config = json.loads((out / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_the_card_says_what_was_measured_as_the_hub_reads_it(whole: Path) -> None:
    from huggingface_hub import ModelCard

    out = export_model(whole, method="dpo", out=whole / "card")
    card = ModelCard.load(out / "README.md")
    assert card.data.library_name == "transformers" and card.data.license is None
    # Neither a model in a folder nor a file is on the hub.
    assert card.data.base_model is None and card.data.datasets is None
    text = card.text
    for expected in ("learning_rate | 0.005", "beta | 0.1", "judge reward", "held-out preferences"):
        assert expected in text
    assert "<b>" not in text.partition("## Experiment")[0] and "prefs &lt;b&gt;.jsonl" in text
    # No folder of this machine, in whatever way it is escaped.
    assert whole.parent.name not in (out / "README.md").read_text()
    assert "{source}" not in text


def test_a_folder_with_files_is_left_alone(whole: Path) -> None:
    taken = whole / "taken"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        export_model(whole, method="dpo", out=taken)
    assert names(taken) == {"mine"}
    empty = whole / "empty"
    empty.mkdir()
    assert "config.json" in names(export_model(whole, method="sft", out=empty))
    assert not list(whole.glob(".*partial*"))


def test_a_method_without_weights_says_what_to_do(whole: Path) -> None:
    with pytest.raises(
        UserError, match=r"best_of_n has no weights.*--method sft.*\"n\": 2"
    ) as told:
        export_model(whole, method="best_of_n", out=whole / "none")
    assert "reward_model/" in str(told.value) and not (whole / "none").exists()


def test_the_makers_generation_config_is_exported(whole: Path) -> None:
    folder = TaskPolicies.of(whole).existing("dpo").folder
    assert folder is not None
    original = {"repetition_penalty": 1.1, "top_k": 20, "do_sample": True, "eos_token_id": [3, 0]}
    (folder / "original_generation_config.json").write_text(json.dumps(original))
    out = export_model(whole, method="dpo", out=whole / "generation")
    (folder / "original_generation_config.json").unlink()
    exported = json.loads((out / "generation_config.json").read_text())
    assert exported.pop("pad_token_id") is not None
    assert exported == original
    assert "original_generation_config.json" not in names(out)


def test_merged_adapters_are_the_policy(adapted: Path, cache: Path) -> None:
    out = export_model(adapted, method="dpo", merge=True, out=adapted / "merged")
    assert "adapter_config.json" not in names(out) and "model.safetensors" in names(out)
    expected = policy_logprobs(adapted, "dpo")
    assert plain_logprobs(out) == pytest.approx(expected, abs=1e-5)
    assert expected != pytest.approx(policy_logprobs(adapted, "sft"), abs=0.1)
    check_no_traces(out, cache)


def test_adapters_are_the_policy_on_the_sft_policy_beside_them(adapted: Path, cache: Path) -> None:
    out = export_model(adapted, method="dpo")
    expected = policy_logprobs(adapted, "dpo")
    assert plain_logprobs(out, adapters=True) == pytest.approx(expected, abs=1e-5)
    base = json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert base == str((out / "base_model").absolute())
    assert plain_logprobs(out / "base_model") == pytest.approx(policy_logprobs(adapted, "sft"))
    check_no_traces(out, cache)
    named = export_model(adapted, method="dpo", base_model="me/sft", out=adapted / "named")
    config = json.loads((named / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "me/sft" and "base_model" not in names(named)
    local = export_model(adapted, method="dpo", base_model=str(adapted), out=adapted / "local")
    on_hub, in_folder = ((out / "README.md").read_text() for out in (named, local))
    assert "adapter_config" in in_folder and "adapter_config" not in on_hub
    assert adapted.parent.name not in in_folder
    # The SFT policy itself needs no adapters.
    sft = export_model(adapted, method="sft")
    assert plain_logprobs(sft) == pytest.approx(policy_logprobs(adapted, "sft"), abs=1e-5)


def test_a_policy_that_is_gone_is_trained_again_on_request(whole: Path) -> None:
    policies = TaskPolicies.of(whole)
    expected, folder = policy_logprobs(whole, "dpo"), policies.existing("dpo").folder
    assert folder is not None
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="is not in the cache"):
        export_model(whole, method="dpo", out=whole / "again")
    out = export_model(whole, method="dpo", out=whole / "again", train=True)
    assert plain_logprobs(out) == pytest.approx(expected, abs=1e-5)
    assert folder.exists()


def test_a_policy_that_was_not_kept_is_trained_again_once(whole: Path) -> None:
    folder = TaskPolicies.of(whole).existing("dpo").folder
    assert folder is not None
    # As after a run with `keep: none`.
    for place in folder.parent.iterdir():
        shutil.rmtree(place)
    file, mine = whole / "manifest.json", write_rows(whole / "one.jsonl", [{"prompt": PROMPTS[0]}])
    file.write_text(json.dumps(json.loads(file.read_text()) | {"policies": []}))
    with pytest.raises(UserError, match="--train trains it again"):
        run_answer(whole, prompts=str(mine), device="cpu")
    run_answer(whole, prompts=str(mine), device="cpu", train=True)
    before = (whole / "answers.jsonl").read_bytes()
    assert TaskPolicies.of(whole).existing("dpo").folder == folder
    run_answer(whole, prompts=str(mine), device="cpu")
    assert (whole / "answers.jsonl").read_bytes() == before


def test_answers_of_all_methods_to_prompts_of_ones_own(whole: Path) -> None:
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "A <script>alert(1)</script> lamp"},
    ]
    mine = write_rows(whole / "mine.jsonl", [{"prompt": PROMPTS[0]}, {"prompt": turns}])
    out, page = run_answer(whole, prompts=str(mine), device="cpu")
    assert (out, page) == (whole / "answers.jsonl", whole / "answers.html")
    first, second = map(json.loads, out.read_text().splitlines())
    assert (first["prompt"], second["prompt"]) == (PROMPTS[0], turns)
    for answers in (first["responses"], second["responses"]):
        assert list(answers) == ["sft", "dpo", "best_of_n"]
        assert answers["sft"]["kl"] == pytest.approx(0, abs=1e-6) and answers["dpo"]["kl"] > 0
        assert "kl" not in answers["best_of_n"]
        assert all({"proxy_reward", "judge_reward"} < answer.keys() for answer in answers.values())
    text = page.read_text()
    assert "&lt;script&gt;alert(1)" in text and "<script" not in text
    before = out.read_bytes()
    run_answer(whole, prompts=str(mine), device="cpu", temperature=0.5)
    assert out.read_bytes() != before
    run_answer(whole, prompts=str(mine), device="cpu")
    assert out.read_bytes() == before
    long = write_rows(whole / "long.jsonl", [{"prompt": "a"}, {"prompt": "lamp " * 90}])
    with pytest.raises(UserError, match=r"long\.jsonl: line 2: the prompt has \d+ tokens"):
        run_answer(whole, prompts=str(long), device="cpu")


def test_a_chat_reads_lines(whole: Path) -> None:
    command = [sys.executable, "-m", "bench", "chat", str(whole), "--method", "dpo"]
    done = subprocess.run(
        [*command, "--device", "cpu", "--max-new-tokens", "4"],
        input=b"Ada: may I have the lamp?\n\xff\n/quit\nnever\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    output = done.stdout.decode()
    assert output.count("sft: ") == output.count("dpo: ") == 2
    assert "\x1b" not in output
