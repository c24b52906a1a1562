"""The sentiment task's prompts are beginnings of texts, and its demonstrations go on with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.sentiment import sentiment_experiment

from bench.cache.store import Store
from bench.config.files import load_experiment
from bench.pipeline.registry import make_pipeline
from bench.pipeline.sentiment import SentimentPipeline
from bench.tasks.base import Split


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sentiment")
    (folder / "small.yaml").write_text(json.dumps(sentiment_experiment(folder)))
    return folder / "small.yaml"


@pytest.fixture(scope="module")
def pipeline(experiment: Path) -> SentimentPipeline:
    task = load_experiment(str(experiment)).task_objects["sentiment"]
    made = make_pipeline(task, 0, "cpu", Store(experiment.parent / "pipelines"))
    assert isinstance(made, SentimentPipeline)
    made.read_data()
    return made


def test_prompts_have_two_to_eight_tokens_and_are_in_one_split(pipeline: SentimentPipeline) -> None:
    splits: tuple[Split, ...] = ("train", "validation", "test")
    train, validation, test = (set(pipeline.prompts(split)) for split in splits)
    assert train and validation and test
    assert not train & validation and not (train | validation) & test
    tokenizer = pipeline.tokenizer
    lengths = {len(tokenizer(p, add_special_tokens=False)["input_ids"]) for p in train}
    assert min(lengths) >= 2 and max(lengths) <= 8 and len(lengths) > 4


def test_prompt_and_continuation_are_the_text(
    pipeline: SentimentPipeline, experiment: Path
) -> None:
    lines = (experiment.parent / "texts.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    for example in pipeline.demonstrations():
        ended = example.response.endswith(pipeline.end)
        whole = example.prompt + example.response.removesuffix(pipeline.end)
        assert any(text == whole if ended else text.startswith(whole) for text in texts)
