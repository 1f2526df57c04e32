"""A file of one's own: its columns, its task and its split; and one message for each thing that can be wrong with it."""

import numpy as np
import pandas as pd
import pytest

from shallowexp.network.table import Table


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(3, 2, 60), "b": rng.integers(0, 9, 60), "color": ["red", "blue", "red"] * 20,
                         "label": ["no", "yes", "maybe"] * 20})  # fmt: skip


@pytest.fixture
def table(frame, tmp_path):
    """Makes a Table of a changed frame."""

    def made(change=lambda frame: frame, **fields):
        path = tmp_path / "points.csv"
        change(frame).to_csv(path, index=False)
        return Table(str(path), **{"target": "label", "categorical": "onehot"} | fields)

    return made


def without(*names):
    return lambda frame: frame.drop(columns=list(names))


def test_rows_become_columns_standardised_by_the_training_part(table, frame):
    drawn = table(without("color")).load()
    assert (drawn.X.shape, drawn.X_test.shape, drawn.Y.shape) == ((2, 48), (2, 12), (3, 48))
    np.testing.assert_allclose(drawn.X.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(drawn.X.std(axis=1), 1)
    measured = np.hstack([drawn.X, drawn.X_test]) * drawn.scale + drawn.mean
    np.testing.assert_allclose(np.sort(measured[0]), np.sort(frame["a"]))
    labels = np.hstack([drawn.Y, drawn.Y_test]).argmax(axis=0)  # in sorted order: maybe, no, yes
    by_value = dict(zip(frame["a"].round(6), frame["label"], strict=True))
    told = [by_value[value] for value in measured[0].round(6)]
    assert [["maybe", "no", "yes"][label] for label in labels] == told


def test_text_becomes_columns_of_0_and_1(table):
    drawn = table(standardise=False).load()
    assert len(drawn.X) == 4
    np.testing.assert_array_equal(drawn.X[2:].sum(axis=0), 1)


@pytest.mark.parametrize(("rows", "values"), [(60, 30), (30, 20)])
def test_categories_are_text_whose_values_repeat(table, rows, values):
    names = [f"n{row % values}" for row in range(rows)]
    drawn = table(lambda frame: frame[["label"]][:rows].assign(name=names, label=["no", "yes"] * (rows // 2))).load()
    assert len(drawn.X) == values


def test_a_column_of_which_half_are_numbers_is_text(table):
    words = [str(row % 5) if row % 2 else "abc"[row % 3] for row in range(60)]
    assert len(table(lambda frame: frame[["label"]].assign(mixed=words)).load().X) == 8


def test_numbers_written_as_text_are_no_numbers(table, frame, tmp_path):
    frame.assign(a=frame["a"].astype(str)).to_parquet(tmp_path / "text.parquet")
    with pytest.raises(ValueError, match="', no number, in row 1 of column a: mend it"):
        Table(str(tmp_path / "text.parquet"), "label").load()


def test_a_parquet_file_is_the_same_data(table, frame, tmp_path):
    frame.to_parquet(tmp_path / "points.parquet")
    other = Table(str(tmp_path / "points.parquet"), "label", categorical="onehot")
    assert other.load().digest == table().load().digest


@pytest.mark.parametrize(
    ("values", "task"),
    [(["no", "yes"], "binary"), ([1, 2], "binary"), ([True, False], "binary"), ([0.5, 1.5], "binary"),
     ([1, 2, 3], "multiclass"), (list(range(20)), "multiclass"), (list(range(21)), "regression"), ([0.1, 0.2, 0.7], "regression")],
)  # fmt: skip
def test_the_target_says_the_task(table, values, task):
    target = (values * 60)[:60]
    made = table(lambda frame: frame.assign(label=target))
    assert made.task == task
    if task == "regression":
        drawn = made.load()
        assert drawn.Y.std() == pytest.approx(1)
        found = np.sort(np.hstack([drawn.Y, drawn.Y_test])[0])
        np.testing.assert_allclose(found / found[-1], np.sort(target) / max(target))


def test_a_task_may_be_asked_for(table):
    assert table(target="b", task="regression").task == "regression"
    assert table(target="b").task == "multiclass"
    assert table(lambda frame: frame.assign(label=["no", "yes"] * 30), task="binary").task == "binary"


@pytest.mark.parametrize(
    ("change", "fields", "message"),
    [
        (None, {"target": "lable"}, "data.target=lable is not a column of .*: did you mean label"),
        (None, {"target": "zzz"}, "choose one of a, b, color, label"),
        (None, {"target": "???"}, "data.target is not set"),
        (None, {"task": "binary"}, "has 3 different values: choose multiclass"),
        (None, {"task": "regression"}, "'no', no number, in row 1 of column label"),
        (None, {"task": "guess"}, "data.task=guess is not a choice: choose auto, binary"),
        (None, {"categorical": "yes"}, "data.categorical=yes is not a choice: choose refuse, onehot"),
        (lambda frame: frame.assign(label=1), {}, "data.target=label is 1 in every row: there is nothing to learn"),
        (lambda frame: frame[:0], {}, "data.target=label is nothing in every row"),
        (lambda frame: frame.assign(a=frame["a"].mask(frame.index % 9 == 4)), {}, r"no value in row 5 of column a \(7 are missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(table, change, fields, message):
    with pytest.raises(ValueError, match=message):
        table(change or (lambda frame: frame), **fields)


@pytest.mark.parametrize(
    ("change", "fields", "message"),
    [
        (lambda frame: frame, {"categorical": "refuse"}, "'red', no number, in row 1 of column color: mend it, .*onehot"),
        (lambda frame: frame.assign(a=frame["a"].astype(str).mask(frame.index == 4, "?")), {},
         r"'\?', no number, in row 5 of column a, but numbers in most others: mend it"),
        (lambda frame: frame.assign(name=[f"n{row // 2}" if row < 58 else f"m{row}" for row in range(60)]), {},
         "31 different values in the 60 rows of column name: too many for categories"),
        (lambda frame: frame[["label"]], {}, "has no column beside the target"),
        (lambda frame: frame.assign(label=["one", *["two"] * 59]), {}, "leaves no usable split"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_rest_is_named_when_it_is_drawn(table, change, fields, message):
    with pytest.raises(ValueError, match=message):
        table(change, **fields).load()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("points.txt", b"a", "must end in .csv or .parquet"), ("points.csv", None, "there is no such file"),
     ("points.csv", b"", "cannot be read"), ("points.csv", b"\xff\xfe\x00", "cannot be read"), ("x.parquet", b"no", "cannot be read")],
)  # fmt: skip
def test_a_file_that_is_no_table(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Table(str(tmp_path / name), "label")
