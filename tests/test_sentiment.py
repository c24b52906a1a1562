"""The sentiment task: beginnings of texts, a classifier as gold, a model of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
import torch
from preferences import make_folder

from bench.commands.run import run_bench
from bench.config.experiment import load_experiment
from bench.pipeline.sentiment import SentimentPipeline
from bench.pipeline.registry import make_pipeline
from bench.cache.store import Store
from methods.core.models.reward import Classifier, load_reward

WORDS = ["lamp", "door", "cup", "boat", "hat", "key", "map", "coin", "drum", "kite", "Yes", "No"]


def make_classifier(folder: Path, labels: tuple[str, ...] = ("NEGATIVE", "POSITIVE")) -> Path:
    """Save a small classifier of texts with a tokenizer of its own, unlike any policy's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    ids = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    own = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=24,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **names,
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(own),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
        num_labels=len(labels),
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    own.save_pretrained(folder)
    return folder


def write_texts(file: Path, count: int) -> Path:
    random = Random(0)
    texts = [" ".join(random.choices(WORDS, k=random.randint(8, 40))) for _ in range(count)]
    file.write_text("".join(json.dumps({"text": text, "label": 0}) + "\n" for text in texts))
    return file


def content(folder: Path) -> dict[str, Any]:
    small = {"examples": 64, "epochs": 1, "batch_size": 16, "learning_rate": 1e-3}
    return {
        "seeds": 1,
        "tasks": {
            "sentiment": {
                "options": {
                    "data": str(write_texts(folder / "texts.jsonl", 300)),
                    "model": str(make_folder("gpt2", folder / "gpt2")),
                    "classifier": {
                        "model": str(make_classifier(folder / "classifier")),
                        "label": "POSITIVE",
                        "probability": True,
                    },
                    "response_tokens": 10,
                    "eval_prompts": 6,
                    "labels": 96,
                    "sft": small,
                    "reward_model": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3},
                    "shares": {"train": 0.7, "validation": 0.15, "test": 0.15},
                }
            }
        },
        "methods": {
            "sft": {},
            "dpo": {"grid": {"beta": [0.1]}, "examples": 64, "batch_size": 16},
            "ppo_gold": {
                "grid": {"kl_coef": [0.01]},
                "episodes": 64,
                "batch_size": 32,
                "minibatches": 2,
            },
        },
        "evaluation": {"frontier_samples": 8, "responses_per_prompt": 4, "checkpoints": 0},
    }


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sentiment")
    (folder / "small.yaml").write_text(json.dumps(content(folder)))
    return folder / "small.yaml"


@pytest.fixture(scope="module")
def pipeline(experiment: Path) -> SentimentPipeline:
    task = load_experiment(str(experiment)).pipelines["sentiment"]
    made = make_pipeline(task, 0, "cpu", Store(experiment.parent / "pipelines"))
    assert isinstance(made, SentimentPipeline)
    made.read_data()
    return made


def test_the_comparison_has_gold_and_a_privileged_method(
    experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(experiment.parent / "cache"))
    out = experiment.parent / "out"
    options: dict[str, Any] = {"methods": [], "tasks": [], "seeds": None, "jobs": 1}
    status = run_bench(str(experiment), **options, device="cpu", out=out)
    runs = pd.read_csv(out / "runs.csv")
    assert status == 0, list(runs["error"].dropna())
    assert runs["reward"].between(0, 1).all() and runs["reward"].isna().all()
    samples = pd.read_parquet(out / "samples.parquet")
    classifier = Classifier.load(
        experiment.parent / "classifier",
        "cpu",
        end="<|endoftext|>",
        label="POSITIVE",
        plain=True,
        probability=True,
    )
    expected = classifier(list(samples["prompt"]), list(samples["response"]))
    assert samples["gold"].tolist() == pytest.approx(expected, abs=1e-5)


def test_beginnings_are_of_two_to_eight_tokens_and_on_one_side(pipeline: SentimentPipeline) -> None:
    sides = [set(pipeline.prompts(split)) for split in ("train", "validation", "test")]  # type: ignore[arg-type]
    assert all(sides) and not sides[0] & sides[1] and not (sides[0] | sides[1]) & sides[2]
    tokenizer = pipeline._tokenizer
    lengths = {len(tokenizer(p, add_special_tokens=False)["input_ids"]) for p in sides[0]}
    assert min(lengths) >= 2 and max(lengths) <= 8 and len(lengths) > 4


def test_beginning_and_continuation_are_the_text(pipeline: SentimentPipeline, experiment: Path) -> None:
    lines = (experiment.parent / "texts.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    for example in pipeline.demonstrations():
        ended = example.response.endswith(pipeline.end)
        whole = example.prompt + example.response.removesuffix(pipeline.end)
        assert any(text == whole if ended else text.startswith(whole) for text in texts)


def test_a_classifier_scores_as_transformers_does(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = make_classifier(tmp_path / "classifier", ("bad", "good", "neither"))
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts, answers = ["lamp door", "cup"], ["Yes boat</s>", "No hat key map"]
    texts = [p + a.removesuffix("</s>") for p, a in zip(prompts, answers, strict=True)]
    plain = model(**tokenizer(texts, return_tensors="pt", padding=True)).logits.softmax(-1)[:, 1]
    settings: dict[str, Any] = {"end": "</s>", "label": "good"}
    ours = Classifier.load(folder, "cpu", **settings, plain=True, probability=True)
    assert ours(prompts, answers) == pytest.approx(plain.tolist(), abs=1e-5)
    two = [a.removesuffix("</s>") for a in answers]
    batch = tokenizer(prompts, two, return_tensors="pt", padding=True)
    assert batch["token_type_ids"].max() == 1
    good = model(**batch).logits.softmax(-1)[:, 1]
    odds = (good / (1 - good)).log()
    paired = Classifier.load(folder, "cpu", **settings)
    assert paired(prompts, answers) == pytest.approx(odds.tolist(), abs=1e-4)
    # Longer than it takes: the end is what is read.
    long = Classifier.load(folder, "cpu", **settings, plain=True)
    head, tail = "lamp " * 40, "Yes boat " * 11
    assert long([head], [tail]) == pytest.approx(long(["door " * 40], [tail]), abs=1e-6)
    paired.save(tmp_path / "saved")
    assert load_reward(tmp_path / "saved", "cpu")(prompts, answers) == pytest.approx(
        odds.tolist(), abs=1e-4
    )
    with pytest.raises(ValueError, match="label 'great' is none of the classifier's: bad, good"):
        Classifier.load(folder, "cpu", end="</s>", label="great")
