"""A sequence classifier gives the reward that transformers computes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.classifiers import make_classifier

from methods.core.models.reward import Classifier, load_reward


def test_a_classifier_scores_as_transformers_does(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = make_classifier(tmp_path / "classifier", ("bad", "good", "neither"))
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts, answers = ["lamp door", "cup"], ["Yes boat</s>", "No hat key map"]
    texts = [p + a.removesuffix("</s>") for p, a in zip(prompts, answers, strict=True)]
    plain = model(**tokenizer(texts, return_tensors="pt", padding=True)).logits.softmax(-1)[:, 1]
    settings: dict[str, Any] = {"ends": ["</s>"], "label": "good"}
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
        Classifier.load(folder, "cpu", ends=["</s>"], label="great")
