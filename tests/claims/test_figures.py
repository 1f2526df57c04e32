"""The same figure is the same bytes, in every format and process; lines do not outlive half of their runs."""

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from shallowexp.claims.figures import (
    STYLE,
    STYLES,
    boundary,
    median_and_band,
    save,
    save_animation,
    step_axis,
    styled,
    styles_of,
    unit_lines,
)
from shallowexp.network.data import Flower

NOTES = {"Title": "a claim", "Runs": "0123abcd"}


@styled
def picture() -> Figure:
    figure = Figure(figsize=(4, 2))
    left, right = figure.subplots(1, 2)
    frame = pd.DataFrame({"step": [0, 1, 10] * 4, "loss": range(12), "init": ["zero"] * 6 + ["random"] * 6})
    median_and_band(left, frame, "step", "loss", "init")
    step_axis(left)
    left.legend()
    boundary(right, Flower().load(), lambda X: X[0] - X[1])
    return figure


def contents(folder: Path, figure: Figure) -> list[bytes]:
    folder.mkdir()
    return [path.read_bytes() for path in save(figure, folder / "figure", NOTES)]


def test_saving_again_writes_the_same_bytes(tmp_path):
    figure = picture()
    first = contents(tmp_path / "a", figure)
    assert contents(tmp_path / "b", figure) == first
    assert contents(tmp_path / "c", picture()) == first


def test_another_process_writes_the_same_bytes(tmp_path):
    first = contents(tmp_path / "a", picture())
    code = "import sys; from pathlib import Path; from test_figures import *; contents(Path(sys.argv[1]), picture())"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b")], cwd=Path(__file__).parent, check=True)
    assert [(tmp_path / "b" / f"figure.{kind}").read_bytes() for kind in ("pdf", "svg", "png")] == first


def test_a_style_is_a_context_too_and_serves_as_often_as_one_likes():
    before = matplotlib.rcParams["font.size"]
    with styled:
        drawn = [styled(lambda: matplotlib.rcParams["font.size"])() for _ in range(2)]
        inside = matplotlib.rcParams["font.size"]
    assert drawn == [STYLE["font.size"]] * 2 == [inside] * 2
    assert matplotlib.rcParams["font.size"] == before != inside
    assert picture().axes


def test_metadata_is_in_every_file(tmp_path):
    pdf, svg, png = save(picture(), tmp_path / "v1.2", NOTES)
    assert [path.name for path in (pdf, svg, png)] == ["v1.2.pdf", "v1.2.svg", "v1.2.png"]
    assert b"Runs: 0123abcd" in pdf.read_bytes()
    assert "Runs: 0123abcd" in svg.read_text()
    with Image.open(png) as image:
        assert NOTES.items() <= image.info.items()
        assert "Software" not in image.info


def test_choices_keep_their_looks_and_numbers_run_from_dark_to_light():
    assert styles_of(["relu", "tanh"])["tanh"] == styles_of(["tanh"])["tanh"]
    assert list(styles_of({"random", "zero", "constant"})) == ["zero", "constant", "random"]
    brightness = [int(style["color"][1:3], 16) for style in styles_of([100.0, 0.01, 1.0]).values()]
    assert list(styles_of([100.0, 0.01, 1.0])) == [0.01, 1.0, 100.0]
    assert brightness[0] < brightness[-1]
    assert styles_of(["swish"])["swish"]["color"] not in {color for color, _ in STYLES.values()}


def test_median_and_band_are_those_of_the_runs():
    frame = pd.DataFrame({"step": [0] * 11, "loss": range(11), "init": "zero"})
    drawn = median_and_band(Figure().subplots(), frame, "step", "loss", "init")
    assert drawn[["low", "median", "high", "runs"]].values.tolist() == [[1, 5, 9, 11]]


def test_a_line_stops_where_most_of_its_runs_have_ended():
    frame = pd.DataFrame({"step": [0, 0, 0, 1, 1, 2], "loss": 1.0, "init": "zero"})
    assert median_and_band(Figure().subplots(), frame, "step", "loss", "init")["step"].tolist() == [0, 1]


def test_nothing_to_draw_is_an_empty_panel():
    frame = pd.DataFrame({"step": [], "loss": [], "init": []})
    assert median_and_band(Figure().subplots(), frame, "step", "loss", "init").empty
    frame = pd.DataFrame({"step": [0], "loss": [np.nan], "init": ["zero"]})
    assert median_and_band(Figure().subplots(), frame, "step", "loss", "init").empty


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="no train/r2"):
        median_and_band(Figure().subplots(), pd.DataFrame({"step": [], "init": []}), "step", "train/r2", "init")


def plane(step: int) -> Figure:
    figure = Figure(figsize=(4, 2))
    for ax, within in zip(figure.subplots(1, 2), (0, 1), strict=True):
        unit_lines(ax, Flower().load(), lambda X: np.stack([X[0] + step, 0 * X[0], X[1] - 99]), within)
    figure.suptitle(f"step {step}")
    return figure


def test_a_unit_is_a_line_where_it_crosses_the_plane():
    lines, strips = plane(0).axes
    (line,) = lines.collections  # not of the unit without weights, nor of the one far away
    assert np.all(line.get_paths()[0].vertices[:, 0] == 0)
    assert len(strips.collections) == 4
    strip = strips.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose((strip[:, 0].min(), strip[:, 0].max()), (-1, 1))


def test_a_constant_score_has_no_boundary():
    ax = Figure().subplots()
    boundary(ax, Flower().load(), lambda X: 0 * X[0])
    assert len(ax.collections) == 3  # regions and two classes of points


def test_an_animation_is_its_frames_in_the_same_bytes(tmp_path):
    for name in ("a.gif", "b.gif"):
        save_animation([plane(step) for step in (0, 1, 2)], tmp_path / name, NOTES)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.size, image.n_frames) == ((400, 200), 3)
        assert image.info["comment"] == b"Title: a claim; Runs: 0123abcd"
        assert image.convert("RGB").getpixel((399, 0)) == (255, 255, 255)
        image.seek(2)
        assert image.info["duration"] > 1000
