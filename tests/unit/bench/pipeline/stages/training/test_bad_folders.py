"""Folders of models and classifiers that cannot be used are refused in one line, in short time."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.classifiers import make_classifier
from helpers.preferences import make_folder
from safetensors.torch import load_file, save_file

from bench.errors import UserError
from bench.pipeline.sources import Source, find_model
from bench.pipeline.stages.reward_model import load_classifier
from bench.pipeline.stages.training.models import load_model, positions_of
from bench.pipeline.stages.training.tokenizers import load_tokenizer
from bench.tasks.recorded import Classifier as Option
from methods.core.models import chat_template
from methods.core.models.reward import Classifier

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder("qwen2", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Classifiers with two outputs, and with one."""
    labels = {"two": ("NEGATIVE", "POSITIVE"), "one": ("REWARD",)}
    folder = tmp_path_factory.mktemp("classifiers")
    return {name: make_classifier(folder / name, names) for name, names in labels.items()}


@pytest.fixture(autouse=True)
def short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MOST_SECONDS", 1)


def edited(file: str, **changes: object) -> Change:
    """Return a change of fields in a JSON file; `...` removes one."""

    def change(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        content = {k: v for k, v in (content | changes).items() if v is not ...}
        (folder / file).write_text(json.dumps(content))

    return change


def config(**changes: object) -> Change:
    return edited("config.json", **changes)


def tokens(**changes: object) -> Change:
    return edited("tokenizer_config.json", **changes)


def text(file: str, content: str | bytes) -> Change:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / file).write_bytes(data)


def template(content: str) -> Change:
    return text("chat_template.jinja", content)


def without(*names: str) -> Change:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


def weights(change: Callable[[dict[str, Any]], object]) -> Change:
    def rewrite(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return rewrite


def vocabulary(ids: dict[str, int]) -> Change:
    def change(folder: Path) -> None:
        content = json.loads((folder / "tokenizer.json").read_text())
        content["model"]["vocab"] |= ids
        (folder / "tokenizer.json").write_text(json.dumps(content))

    return change


def cut(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:2000])


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def sharded(folder: Path) -> None:
    """Name a second file that is not there."""
    names = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    files = {name: f"model-0000{1 + ('norm' in name)}-of-00002.safetensors" for name in names}
    index = {"metadata": {}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


NOT_READ = "its configuration cannot be read: "
NO_MODEL = "no causal language model: "
NO_TOKENIZER = "its tokenizer cannot be loaded: "
FAILS = "its chat template fails: "
TOO_MUCH = FAILS + "it takes more than 1 seconds or 1 GB of memory for one prompt"
MODELS: list[tuple[str, Change, str]] = [
    (
        "5,000 layers",
        config(num_hidden_layers=5000, layer_types=...),
        "num_hidden_layers must be f",
    ),
    ("no layers", config(num_hidden_layers=0, layer_types=...), "from 1 to 1,024, not 0"),
    ("huge width", config(hidden_size=10**9), NOT_READ + "hidden_size must be from 1 to 262,144"),
    ("no heads", config(num_attention_heads=0), "num_attention_heads must be from 1 to 16,384"),
    ("no key heads", config(num_key_value_heads=0), "num_key_value_heads must be from 1 to"),
    ("negative words", config(vocab_size=-1), "vocab_size must be from 1 to 16,777,216, not -1"),
    ("many words", config(vocab_size=10**12), "vocab_size must be from 1 to 16,777,216"),
    ("many positions", config(max_position_embeddings=10**12), "max_position_embeddings must be"),
    ("no positions", config(max_position_embeddings=0), "from 8 to 2,147,483,648, not 0"),
    ("null positions", config(max_position_embeddings=None), NOT_READ + "Validation error for fie"),
    ("a string", config(hidden_size="32"), NOT_READ + "Validation error for field 'hidden_size'"),
    (
        "unknown type",
        config(model_type="bogus"),
        NOT_READ + "The checkpoint you are trying to load",
    ),
    ("no type", config(model_type=...), "Should have a `model_type` key"),
    ("its own code", config(model_type="x", auto_map={"AutoConfig": "x.Y"}), "which is not run"),
    ("a list", text("config.json", "[1]"), NOT_READ),
    ("broken", text("config.json", "{"), "is not a valid JSON file"),
    ("noise", text("config.json", os.urandom(99)), "is not a valid JSON file"),
    ("nested", text("config.json", "[" * 99_999), NOT_READ + "maximum recursion depth exceeded"),
    ("long", text("config.json", " " * (2**24 + 1)), NOT_READ + "config.json has more than 16 MB"),
    ("T5", config(model_type="t5"), NO_MODEL + "Unrecognized configuration class"),
    ("Mistral", config(model_type="gpt_neox"), NO_MODEL + "its weights do not fit its config.json"),
    ("wide", config(intermediate_size=2**20), "config.json: that describes 201,"),
    ("odd rope", config(rope_parameters={"rope_type": "bogus"}), NO_MODEL + "'bogus'"),
    ("far pad", config(pad_token_id=10**9), NO_MODEL + "Padding_idx must be within"),
    ("no such activation", config(hidden_act="bogus"), NO_MODEL + "'bogus'"),
    ("cut", cut, NO_MODEL + "its weights cannot be read"),
    ("random bytes", text("model.safetensors", os.urandom(5000)), "its weights cannot be read"),
    ("empty", text("model.safetensors", b""), "its weights cannot be read"),
    ("one missing", weights(lambda w: w.pop("model.norm.weight")), "model.norm.weight missing"),
    ("all missing", weights(lambda w: w.clear()), "and the files hold 0"),
    (
        "nan",
        weights(lambda w: w["model.norm.weight"].fill_(torch.nan)),
        "are not finite: model.norm",
    ),
    (
        "inf",
        weights(lambda w: w["model.norm.weight"].fill_(torch.inf)),
        "are not finite: model.norm",
    ),
    ("no shard", sharded, "No such file or directory"),
    ("pickle", pickled, "has no safetensors; no other weights are read"),
    ("no tokenizer", without("tokenizer.json", "tokenizer_config.json"), NO_TOKENIZER),
    ("no words", without("tokenizer.json"), "special tokens alone: is tokenizer.json missing?"),
    ("broken words", text("tokenizer.json", "{"), NO_TOKENIZER + "Expecting property name"),
    ("noisy words", text("tokenizer.json", b"\xff" * 99), NO_TOKENIZER + "'utf-8' codec can't"),
    (
        "many ids",
        vocabulary({"zz": 4 * 10**9}),
        "the ids in tokenizer.json must be from 0 to 2,097,",
    ),
    ("negative id", vocabulary({"zz": -1}), "the ids in tokenizer.json must be from 0"),
    ("other words", vocabulary({f"z{i}": 500 + i for i in range(3000)}), "is of another model: it"),
    ("number as end", tokens(eos_token=5), NO_TOKENIZER + "Special token eos_token has to be"),
    ("length as text", tokens(model_max_length="x"), NO_TOKENIZER + "'>' not supported between"),
    ("a list of settings", text("tokenizer_config.json", "[]"), NO_TOKENIZER),
    ("broken settings", text("generation_config.json", "{"), NO_TOKENIZER),
    ("list of settings", text("generation_config.json", "[1]"), NO_TOKENIZER),
    ("syntax", template("{% for %}"), FAILS + "Expected an expression"),
    ("not closed", template("{% if x %}a"), FAILS + "Unexpected end of template"),
    ("raises", template("{{ raise_exception('no') }}"), FAILS + "no"),
    ("undefined", template("{{ a.b.c }}"), FAILS + "'a' is undefined"),
    ("zero", template("{{ 1 / 0 }}"), FAILS + "division by zero"),
    ("blank", template(" \n"), FAILS + "it leaves out what the user says"),
    ("constant", template("hello"), FAILS + "it leaves out what the user says"),
    ("roles alone", template("{% for t in messages %}{{ t.role }}{% endfor %}"), "leaves out what"),
    ("range", template("{% for i in range(10**9) %}{% endfor %}"), FAILS + "Range too big"),
    (
        "loops",
        template("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"),
        TOO_MUCH,
    ),
    ("power", template("{{ 9**(9**9) }}{{ messages[0].content }}"), TOO_MUCH),
    ("long text", template("{{ 'x' * 300000000 }}"), TOO_MUCH),
    ("longer text", template("{{ 'x' * 10**10 }}"), TOO_MUCH),
    ("padding", template("{{ '%1000000000s' % 'a' }}"), TOO_MUCH),
    ("recursion", template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), FAILS + "maximum"),
    ("attributes", template("{{ ''.__class__.__mro__ }}"), FAILS + "access to attribute"),
    ("long template", template("x" * (2**24 + 1)), "chat_template.jinja has more than 16 MB"),
]


def load(folder: Path) -> None:
    """Load a model as a run does."""
    find_model(str(folder))
    positions_of(str(folder))
    tokenizer = load_tokenizer(folder, plain=False)
    load_model(folder, tokenizer, "float32")


def test_a_good_folder_is_loaded(model: Path) -> None:
    load(model)


@pytest.mark.parametrize(
    ("change", "complaint"), [case[1:] for case in MODELS], ids=[case[0] for case in MODELS]
)
def test_a_bad_folder_is_refused_in_one_line(
    model: Path, tmp_path: Path, change: Change, complaint: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model, folder)
    change(folder)
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        load(folder)
    assert str(folder) in str(caught.value)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 60


CLASSIFIERS: list[tuple[str, str, Change, Option, str]] = [
    ("no label", "two", lambda _: None, Option("c"), "label '' is none of the classifier's: NEGA"),
    (
        "wrong label",
        "two",
        lambda _: None,
        Option("c", "NICE"),
        "'NICE' is none of the classifier'",
    ),
    ("wrong only label", "one", lambda _: None, Option("c", "NICE"), "it has one, REWARD"),
    ("probability of one", "one", lambda _: None, Option("c", "", True), "with several labels"),
    (
        "nan",
        "two",
        weights(lambda w: w["classifier.bias"].fill_(torch.nan)),
        Option("c", "POSITIVE"),
        "its weights are not finite: classifier.bias",
    ),
    (
        "overflow",
        "two",
        weights(lambda w: w["classifier.weight"].fill_(3e38)),
        Option("c", "POSITIVE"),
        "gives 1 of 1 responses a reward that is not finite, such as nan",
    ),
    (
        "no head",
        "two",
        weights(lambda w: w.pop("classifier.weight")),
        Option("c", "POSITIVE"),
        "classifier.weight missing",
    ),
    (
        "half a body",
        "two",
        weights(lambda w: w.pop("bert.encoder.layer.0.output.dense.weight")),
        Option("c", "POSITIVE"),
        "layer.0.output.dense.weight missing",
    ),
    ("names", "two", config(id2label=["a", "b"]), Option("c", "b"), "no sequence classifier"),
    (
        "no heads",
        "two",
        config(num_attention_heads=0),
        Option("c", "b"),
        "num_attention_heads must",
    ),
    ("layers", "two", config(num_hidden_layers=10**7), Option("c", "b"), "num_hidden_layers must"),
    (
        "no tokenizer",
        "two",
        without("tokenizer.json", "tokenizer_config.json"),
        Option("c", "POSITIVE"),
        "no sequence classifier",
    ),
    (
        "template",
        "two",
        template("{{ raise_exception('not this one') }}"),
        Option("c", "POSITIVE"),
        "not this one",
    ),
    (
        "loop",
        "two",
        template("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"),
        Option("c", "POSITIVE"),
        "it takes more than 1 seconds",
    ),
]


@pytest.mark.parametrize(
    ("kind", "change", "option", "complaint"),
    [case[1:] for case in CLASSIFIERS],
    ids=[case[0] for case in CLASSIFIERS],
)
def test_a_bad_classifier_is_refused_in_one_line(
    classifiers: dict[str, Path],
    tmp_path: Path,
    kind: str,
    change: Change,
    option: Option,
    complaint: str,
) -> None:
    folder = tmp_path / "c"
    shutil.copytree(classifiers[kind], folder)
    change(folder)
    with pytest.raises(UserError) as caught:
        load_classifier(option, Source(str(folder)), "cpu", ["</s>"], plain=False)
    assert str(caught.value).startswith("c: no sequence classifier: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "label"),
    [("two", "POSITIVE"), ("two", "1"), ("one", ""), ("one", "REWARD"), ("one", "0")],
)
def test_a_label_that_exists_is_taken(classifiers: dict[str, Path], kind: str, label: str) -> None:
    option = Option("c", label)
    classifier = load_classifier(option, Source(str(classifiers[kind])), "cpu", [], plain=False)
    assert len(classifier(["cup"] * 2, ["Yes", "No"])) == 2


def test_a_classifier_never_says_that_a_reward_is_not_a_number(
    classifiers: dict[str, Path],
) -> None:
    classifier = Classifier.load(classifiers["one"], "cpu")
    classifier.model.classifier.bias.data.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"the classifier .*one gives 2 of 2 responses a reward"):
        classifier(["cup"] * 2, ["Yes", "No"])
