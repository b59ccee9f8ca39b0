"""The tasks: shapes, types, the same from the same seed, and answers that follow from what is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from zoo import tasks
from zoo.tasks import downloads, reviews
from zoo.tasks.drawn import WORDS
from zoo.tasks.split import Split

DRAWN: dict[str, tuple[Callable[..., Split], tuple[int, ...], str, tuple[int, ...], int]] = {
    "digits": (tasks.digits, (64,), "float32", (), 1797),
    "digits_sequence": (tasks.digits_sequence, (64, 1), "float32", (), 1797),
    "digits_images": (tasks.digits_images, (8, 8, 1), "float32", (), 1797),
    "adding": (tasks.adding, (100, 2), "float32", (1,), 5000),
    "copy_memory": (tasks.copy_memory, (110,), "int32", (110,), 5000),
    "recall": (tasks.recall, (1000,), "int32", (), 2000),
    "temporal_order": (tasks.temporal_order, (100,), "int32", (), 5000),
    "modular_addition": (tasks.modular_addition, (2,), "int32", (), 23**2),
    "seasonal": (tasks.seasonal, (200, 1), "float32", (1,), 3000),
    "shapes": (tasks.shapes, (32, 32, 1), "float32", (32, 32), 600),
    "sentences": (tasks.sentences, (16,), "int32", (), 2000),
}
"""Function, shape and type of an example, shape of its answer, examples in all."""

DOWNLOADED = ("mnist", "fashion_mnist", "cifar10", "shakespeare", "imdb")


@pytest.mark.parametrize("name", DRAWN)
def test_shapes_types_and_seeds(name: str) -> None:
    make, shape, kind, answer, examples = DRAWN[name]
    (x, y), (x_test, y_test) = make()
    assert x.shape[1:] == x_test.shape[1:] == shape and y.shape[1:] == y_test.shape[1:] == answer
    assert x.dtype == x_test.dtype == kind and y.dtype in ("float32", "int64")
    assert len(x) == len(y) and len(x_test) == len(y_test) and len(x) + len(x_test) == examples
    assert 0.15 < len(x_test) / examples < 0.25
    again, other = make()[0], make(seed=1)[0]
    assert np.array_equal(again[0], x) and np.array_equal(again[1], y) and not np.array_equal(other[0], x)


def test_all_tasks_are_tested() -> None:
    assert set(tasks.__all__) == {*DRAWN, *DOWNLOADED, "mnist_sequence", "gaussians", "bandit"}


def test_digits_are_standardized() -> None:
    (x, y), (_, y_test) = tasks.digits()
    assert set(y) == set(y_test) == set(range(10))
    assert abs(x.mean()) < 1e-3 and abs(x.std() - 1) < 1e-3
    assert np.array_equal(tasks.digits_images()[0][0].reshape(-1, 64), x)


@pytest.mark.parametrize("steps", [4, 7, 200])
def test_adding(steps: int) -> None:
    (x, y), _ = tasks.adding(steps, examples=500)
    numbers, marks = x[..., 0], x[..., 1]
    assert np.allclose((numbers * marks).sum(1), y[:, 0])
    assert (marks[:, : steps // 2].sum(1) == 1).all() and (marks[:, steps // 2 :].sum(1) == 1).all()
    assert np.mean((y - 1) ** 2) == pytest.approx(1 / 6, rel=0.2)


def test_copy_memory() -> None:
    (x, y), _ = tasks.copy_memory(20, symbols=4, length=3, examples=100)
    assert np.array_equal(y[:, -3:], x[:, :3]) and not y[:, :-3].any()
    assert (x[:, -4] == 5).all() and not x[:, 3:-4].any() and not x[:, -3:].any() and x[:, :3].min() == 1


def test_recall() -> None:
    (x, y), _ = tasks.recall(20, symbols=5, examples=100)
    assert np.array_equal(x[:, 0], y + 1) and not x[:, 1:].any() and set(y) == set(range(5))


def test_temporal_order() -> None:
    (x, y), _ = tasks.temporal_order(50, examples=500)
    told = np.stack([row[row >= 4] - 4 for row in x])
    assert told.shape == (400, 2) and np.array_equal(2 * told[:, 0] + told[:, 1], y)
    places = np.stack([np.flatnonzero(row >= 4) for row in x])
    assert places[:, 0].min() >= 5 and places[:, 0].max() < 10 and places[:, 1].min() >= 25 and places[:, 1].max() < 30


def test_modular_addition_holds_pairs_out() -> None:
    (x, y), (x_test, _) = tasks.modular_addition(7)
    assert np.array_equal(x.sum(1) % 7, y)
    assert len({tuple(pair) for pair in np.concatenate([x, x_test])}) == 49


def test_seasonal_windows_follow_each_other_and_held_out_ones_do_not_overlap() -> None:
    (x, y), (x_test, y_test) = tasks.seasonal(50, examples=200)
    assert np.array_equal(x[1:, -1, 0], y[:-1, 0]) and np.array_equal(x_test[1:, -1, 0], y_test[:-1, 0])
    assert not set(x[:, :, 0].ravel()) & set(x_test[:, :, 0].ravel())
    quiet = tasks.seasonal(50, examples=200, noise=0.0)[0][0]
    assert np.std(x[:, :, 0] - quiet[:, :, 0]) == pytest.approx(0.3, rel=0.1)


def test_shapes_are_brighter_than_the_ground() -> None:
    (x, y), _ = tasks.shapes(noise=0.0, examples=50)
    assert np.array_equal(x[..., 0] > 0, y == 1) and x.max() <= 1 and 0.05 < y.mean() < 0.5


def test_sentences_are_judged_by_their_end() -> None:
    (x, y), _ = tasks.sentences(examples=300)
    good = set(WORDS[WORDS.index("good") : WORDS.index("bad")])
    for row, label in zip(x, y, strict=True):
        words = [WORDS[i] for i in row if i]
        clause = words[len(words) - words[::-1].index("but") :] if "but" in words else words
        turned = "not" in clause or "never" in clause
        assert label == ((clause[-1] in good) != turned)
    assert 0.4 < y.mean() < 0.6 and len(WORDS) == len(set(WORDS)) == 34


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (tasks.adding, {"steps": 3}), (tasks.temporal_order, {"steps": 9}), (tasks.copy_memory, {"steps": 0}),
        (tasks.shapes, {"side": 7}), (tasks.sentences, {"length": 7}),
    ],
)  # fmt: skip
def test_an_argument_out_of_range_is_named(make: Callable[..., Split], argument: dict[str, int]) -> None:
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        make(**argument)


def _images(folder: Path, name: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    parts = {"train": 20, "test": 5}
    arrays: dict[str, Any] = {f"x_{k}": rng.integers(0, 256, (n, *shape), np.uint8) for k, n in parts.items()}
    labels = {f"y_{k}": rng.integers(0, 10, (n, 1), np.uint8) for k, n in parts.items()}
    np.savez(folder / f"{name}.npz", **arrays, **labels)


@pytest.mark.parametrize(("name", "shape"), [("mnist", (28, 28)), ("fashion_mnist", (28, 28)), ("cifar10", (32, 32, 3))])
def test_images_come_from_the_folder(name: str, shape: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _images(tmp_path, name, shape)
    monkeypatch.setenv(downloads.FOLDER, str(tmp_path))
    (x, y), (x_test, y_test) = getattr(tasks, name)()
    assert x.shape == (20, *(shape if len(shape) == 3 else (*shape, 1))) and x_test.shape[0] == 5
    assert x.dtype == "float32" and abs(x.mean()) < 1e-3 and abs(x.std() - 1) < 1e-3
    assert y.shape == (20,) and y_test.shape == (5,) and y.dtype == "int64"


def test_text_comes_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(chr(97 + i % 26) for i in range(2000))
    (tmp_path / "shakespeare.txt").write_text(text)
    monkeypatch.setenv(downloads.FOLDER, str(tmp_path))
    (x, y), (x_test, y_test) = tasks.shakespeare(8, examples=50)
    assert x.shape == y.shape == (40, 8) and x_test.shape == y_test.shape == (10, 8)
    assert np.array_equal(x[:, 1:], y[:, :-1]) and np.array_equal((x + 1) % 26, y)


@pytest.mark.parametrize("name", DOWNLOADED)
@pytest.mark.parametrize("folder", [True, False])
def test_without_network_and_file_the_error_says_both_ways_out(
    name: str, folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*args: Any, **kwargs: Any) -> Any:
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.utils, "get_file", no_network)
    for module in ("mnist", "fashion_mnist", "cifar10", "imdb"):
        monkeypatch.setattr(getattr(keras.datasets, module), "load_data", no_network)
    monkeypatch.setenv(downloads.FOLDER, str(tmp_path)) if folder else monkeypatch.delenv(downloads.FOLDER, raising=False)
    received = str(tmp_path) if folder else "not set"
    with pytest.raises(FileNotFoundError, match=r"\(a\) run once with a network.*\(b\) set KERASGRAD_DATA") as error:
        getattr(tasks, name)()
    assert received in str(error.value)


REVIEWS = (["the", "film", "br", "was", "great", "really"], ["bad", "xyzzy"], ["the", "plot"])
VOCABULARY = ["the", "was", "film", "bad", "great", "plot"]


def _index() -> dict[str, int]:
    """Ranks as Keras has them: by another order than ours, and with what is no word here."""
    return {
        word: rank for rank, word in enumerate(["br", "great", "the", "xyzzy", "really", "was", "bad", "plot", "film"], 1)
    }


def test_reviews_come_from_the_folder_and_through_keras_with_the_same_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a model was trained on here is what a person gets who has Keras' own copy."""
    words, ids = ["", "?", *VOCABULARY], {word: i for i, word in enumerate(VOCABULARY, 2)}
    told = [[ids.get(word, reviews.UNKNOWN) for word in review if word != "br"] for review in REVIEWS]
    tokens, sizes = np.concatenate(told).astype(np.uint16), np.array([len(review) for review in told], np.uint16)
    good, test = np.array([1, 0, 1], np.uint8), np.array([False, False, True])
    np.savez(tmp_path / reviews.FILE, tokens=tokens, sizes=sizes, y=good, test=test, words=words)
    monkeypatch.setenv(downloads.FOLDER, str(tmp_path))
    from_folder = tasks.imdb(6)

    index = _index()
    of_keras = [[1, *(index[word] + 3 for word in review)] for review in REVIEWS]
    parts = ((of_keras[:2], np.array([1, 0])), (of_keras[2:], np.array([1])))
    monkeypatch.setattr(keras.datasets.imdb, "load_data", lambda: parts)
    monkeypatch.setattr(keras.datasets.imdb, "get_word_index", lambda: index)
    np.save(tmp_path / "rows.npy", reviews.fingerprints(VOCABULARY))
    monkeypatch.setattr(reviews, "ROWS", tmp_path / "rows.npy")
    monkeypatch.delenv(downloads.FOLDER)
    through_keras = tasks.imdb(6)
    for one, other in zip(from_folder, through_keras, strict=True):
        assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
        assert one[0].dtype == other[0].dtype == "int32" and one[1].dtype == other[1].dtype == "int64"
    assert from_folder[0][0].tolist() == [[0, 2, 4, 3, 6, 1], [0, 0, 0, 0, 5, 1]] and from_folder[1][1].tolist() == [1]
    assert tasks.imdb(2, vocabulary=5)[0][0].tolist() == [[2, 4], [1, 1]], "the first words; rarer ones are unknown"


def test_ids_that_keras_gives_no_word() -> None:
    rows = reviews.from_keras(_index(), reviews.fingerprints(VOCABULARY))
    assert rows[:3].tolist() == [-1, -1, reviews.UNKNOWN] and rows[_index()["br"] + 3] == -1
    assert rows[_index()["xyzzy"] + 3] == reviews.UNKNOWN and rows[_index()["the"] + 3] == reviews.FIRST
    assert reviews.translated([1, 2, 4, 6], rows).tolist() == [reviews.UNKNOWN, reviews.FIRST]


def test_the_vocabulary_is_that_of_the_reviews() -> None:
    known = np.load(reviews.ROWS)
    assert known.shape == (9998,) and len(set(known.tolist())) == 9998
    assert known[:5].tolist() == reviews.fingerprints(["the", "and", "a", "of", "to"]).tolist()


@pytest.mark.parametrize("argument", [{"words": 0}, {"words": 201}, {"vocabulary": 2}, {"vocabulary": 10_001}])
def test_reviews_have_their_limits(argument: dict[str, int]) -> None:
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        tasks.imdb(**argument)


def test_digits_pixel_by_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _images(tmp_path, "mnist", (28, 28))
    monkeypatch.setenv(downloads.FOLDER, str(tmp_path))
    (x, y), (x_test, _) = tasks.mnist_sequence()
    assert x.shape == (20, 784, 1) and x_test.shape == (5, 784, 1)
    assert np.array_equal(x.reshape(-1, 28, 28, 1), tasks.mnist()[0][0]) and y.shape == (20,)


def test_a_task_by_name() -> None:
    assert np.array_equal(tasks.load_task("adding", steps=5)[0][0], tasks.adding(5)[0][0])
    with pytest.raises(KeyError, match=r"adding, .*Received: task='subtracting'"):
        tasks.load_task("subtracting")
