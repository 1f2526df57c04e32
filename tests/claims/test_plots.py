"""Figures of any runs: what varies is an axis, a color, a panel or named as pooled; what cannot be drawn is one message."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import LogNorm
from matplotlib.transforms import Bbox

from shallowexp.analysis import Runs
from shallowexp.claims.choice import Choice
from shallowexp.claims.plots import WIDTHS, as_words, plot
from shallowexp.errors import UserError
from shallowexp.report.sweep_page import draw

LOSS = "train/loss"
KEYS = {"activation": ("tanh", "relu"), "init.scale": (0.01, 0.1, 1.0), "hidden_size": (2, 4), "seed": range(5)}


def swept(**more) -> Runs:
    """A run for each combination; its loss says which one it is."""
    keys = KEYS | more
    rows = [dict(zip(keys, values, strict=True)) for values in itertools.product(*keys.values())]
    table = pd.DataFrame(rows)
    table[LOSS] = 1.0 + np.arange(len(table)) % 5 + 10 * table["init.scale"]
    table = table.assign(outcome="finished", run_id=[f"r{i}" for i in range(len(table))])
    table.index = pd.Index([f"{i:03}" for i in range(len(table))], name="fingerprint")
    plain = table[[*keys, LOSS]].reset_index()
    return Runs(table, pd.concat([plain.assign(step=step) for step in (0, 10)], ignore_index=True), {})


def titles(page) -> set[str]:
    return {ax.get_title(loc="left") for ax in page.axes.values()}


def caption(page) -> str:
    return page.figure.get_suptitle()


def test_what_has_no_place_gets_a_panel_for_each_combination_and_seeds_are_named_as_pooled():
    page = plot(swept(), Choice())
    assert titles(page) == {f"hidden_size {n}, init.scale {s}" for n in (2, 4) for s in ("0.01", "0.1", "1")}
    assert "seed (5)" in caption(page)
    assert set(page.numbers["activation"]) == {"tanh", "relu"}
    assert set(page.numbers["runs"]) == {5}  # no more than the seeds of one cell in any point


@pytest.mark.parametrize(
    "choice", [Choice(x="init.scale"), Choice(x="init.scale", by="hidden_size"), Choice(x="activation")]
)
def test_no_point_pools_over_what_was_swept(choice):
    page = plot(swept(), choice)
    drawn = page.numbers
    counts = drawn["runs"] if "runs" in drawn else drawn.groupby(["panel", "activation", "hidden_size"]).size()
    assert set(counts) == {5}


@pytest.mark.parametrize("width", WIDTHS.values())
@pytest.mark.parametrize(
    "choice", [Choice(x="init.scale"), Choice(x="init.scale", by="activation", panel="hidden_size")]
)
def test_the_legend_lies_below_the_panels_and_the_caption_within_the_figure(choice, width):
    runs = swept()
    diverged = np.where(runs.table["seed"] > 3, "diverged", "finished")
    page = plot(runs._replace(table=runs.table.assign(outcome=diverged)), choice, width)
    page.figure.draw_without_rendering()
    (legend,) = page.figure.legends
    lowest = min(ax.get_tightbbox().y0 for ax in page.axes.values())
    assert 0 < legend.get_window_extent().y0 < legend.get_window_extent().y1 < lowest
    assert [text.get_text() for text in legend.get_texts()] == ["tanh", "relu"]
    (words,) = page.figure.texts
    assert words.get_window_extent().x1 < page.figure.bbox.x1
    assert words.get_window_extent().y0 > max(ax.get_tightbbox().y1 for ax in page.axes.values())


def test_a_title_fits_its_panel():
    page = plot(swept(**{"train.learning_rate": (0.1, 10)}), Choice(by="activation"), WIDTHS["paper"])
    page.figure.draw_without_rendering()
    for ax in page.axes.values():
        assert ax._left_title.get_window_extent().x1 < page.figure.bbox.x1


def uneven() -> Runs:
    """Another activation and other scales where hidden_size is 2 than where it is 4."""
    runs = swept(activation=("tanh", "relu", "sigmoid"), **{"init.scale": (0.01, 0.1, 1.0, 10.0)})
    small = runs.table["init.scale"].isin((0.1, 10)) & (runs.table["activation"] != "sigmoid")
    there = np.where(runs.table["hidden_size"] == 2, small, runs.table["activation"] != "relu")
    chosen = runs.table[there]
    return runs._replace(table=chosen, histories=runs.histories[runs.histories["fingerprint"].isin(chosen.index)])


@pytest.mark.parametrize("choice", [Choice(), Choice(x="activation")])
def test_a_value_looks_the_same_in_all_panels_as_in_the_legend(choice):
    page = plot(uneven(), choice._replace(by="init.scale", panel="hidden_size"))
    (legend,) = page.figure.legends
    styles = dict(zip(("0.01", "0.1", "1", "10"), legend.get_lines(), strict=True))
    assert [text.get_text() for text in legend.get_texts()] == [*styles]
    for ax in page.axes.values():
        for handle, word in zip(*ax.get_legend_handles_labels(), strict=True):
            named = styles[word]
            assert (handle.get_color(), handle.get_linestyle()) == (named.get_color(), named.get_linestyle())


def test_a_cross_has_the_color_of_the_legend_in_a_panel_that_lacks_others():
    runs = uneven()
    lost = runs.table["init.scale"] == 1
    runs = runs._replace(table=runs.table.assign(outcome=np.where(lost, "diverged", "finished")))
    page = plot(runs, Choice(x="init.scale", by="hidden_size", panel="activation"))
    _, four = page.figure.legends[0].get_lines()
    crosses = [line for line in page["0"].lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [(line.get_xdata().tolist(), line.get_color()) for line in crosses] == [([1.0], four.get_color())]


def test_panels_come_in_the_order_of_a_legend():
    runs = uneven()
    found = plot(runs, Choice(panel="activation", x="init.scale", by="hidden_size")).axes.values()
    assert [ax.get_title(loc="left") for ax in found] == [f"activation {name}" for name in ("sigmoid", "tanh", "relu")]
    missing = runs.table.assign(**{"init.scale": runs.table["init.scale"].replace({0.01: np.nan, 0.1: 2})})
    found = plot(runs._replace(table=missing), Choice(panel="init.scale", x="hidden_size")).axes.values()
    assert [ax.get_title(loc="left") for ax in found] == [f"init.scale {value}" for value in ("1", "2", "10", "–")]


@pytest.mark.parametrize("width", [WIDTHS["paper"], WIDTHS["page"]])
def test_heat_maps_have_the_same_axes_whose_labels_are_true_where_panels_lack_values(width):
    runs = uneven()
    page = plot(runs, Choice(kind="heat", x="init.scale", y="activation", panel="hidden_size"), width)
    page.figure.draw_without_rendering()
    finished = runs.table.groupby(["hidden_size", "activation", "init.scale"])[LOSS].median()
    for panel, size in (("0", 2), ("1", 4)):
        ax = page[panel]
        assert [label.get_text() for label in ax.get_xticklabels()] == ["0.01", "0.1", "1", "10"]
        rows = [label.get_text() for label in page["0"].get_yticklabels()]
        assert rows == ["sigmoid", "tanh", "relu"] and ax.yaxis_inverted()
        shown = np.ma.filled(ax.collections[0].get_array(), np.nan)
        expected = finished[size].unstack().reindex(index=rows, columns=[0.01, 0.1, 1, 10])
        np.testing.assert_array_equal(shown, expected)
    assert "Cells without a run are hatched." in caption(page).replace("\n", " ")


def test_what_goes_with_the_seed_is_no_seed():
    """Two sweeps, the second with other seeds and another start: they are not one cell."""
    runs = swept(**{"init.scale": (0.01,), "hidden_size": (2,)}).label(
        sweep=lambda f: np.where(f["seed"] < 3, "a", "b")
    )
    runs = runs.label(init=lambda f: np.where(f["seed"] < 3, "zero", "random"))
    assert titles(plot(runs, Choice(by="activation"))) == {"init random", "init zero"}


def test_a_search_has_its_figures_and_names_what_varies_together():
    """Each trial has values of its own."""
    runs = swept(
        **{"activation": ("tanh",), "init.scale": np.linspace(0.1, 1, 30).round(3), "hidden_size": (4,), "seed": (0,)}
    )
    runs = runs.label(**{"train.learning_rate": lambda frame: 10 * frame["init.scale"] + 1})
    drawn = {figure.name: figure for figure in draw(runs)}
    assert not any(figure.fault for figure in drawn.values())
    assert {"loss", "final-init.scale", "final-train.learning_rate", "map-init.scale-train.learning_rate"} <= {*drawn}
    assert "init.scale (30), train.learning_rate (30)" in caption(drawn["loss"].page)
    assert "With them varies train.learning_rate." in caption(plot(runs, Choice(x="init.scale")))


def test_a_heat_map_says_what_it_shows():
    assert caption(plot(swept(), Choice(x="init.scale", y="hidden_size", kind="heat"))).startswith(
        "train/loss: median over"
    )


def test_a_key_without_a_value_is_null_and_one_that_the_choice_lacks_a_dash():
    runs = swept(**{"activation": ("tanh",), "init": ("zero", "random"), "train.batch_size": (16.0, np.nan)})
    runs = runs.label(**{"init.gain": lambda frame: np.where(frame["init"] == "zero", np.nan, 2.0)})
    found = as_words(runs, ["train.batch_size", "init.gain"]).table
    assert {*found["train.batch_size"]} == {"16", "null"} and {*found["init.gain"]} == {"2", "–"}


def test_what_is_pooled_is_named():
    page = plot(swept(), Choice(pool=["hidden_size"], x="init.scale"))
    assert "hidden_size (2)" in caption(page)
    assert set(page.numbers["runs"]) == {10}
    twice = caption(plot(swept(), Choice(pool=["init.scale"], x="hidden_size")))
    assert "init.scale (3)" in twice and "With them varies" not in twice


def test_a_large_heat_map_is_read_over_decades():
    """Colors are logarithmic where losses are far apart, and what is written at an axis is short."""
    scales = tuple(np.geomspace(0.001, 10, 20))
    runs = swept(**{"init.scale": scales, "activation": ("tanh",)}).label(
        **{LOSS: lambda f: 0.3 + 1.5 * f["init.scale"]}
    )
    page = plot(runs, Choice(x="init.scale", y="hidden_size", z=LOSS))
    assert isinstance(page["0"].collections[0].norm, LogNorm)
    assert [label.get_text() for label in page["0"].get_xticklabels()] == [
        f"{scales[i]:.3g}" for i in (0, 4, 8, 11, 15, 19)
    ]
    close = runs.label(**{LOSS: lambda f: 0.3 + f["init.scale"] / 5})
    page = plot(close, Choice(x="init.scale", y="hidden_size", z=LOSS))
    assert not isinstance(page["0"].collections[0].norm, LogNorm)


@pytest.mark.parametrize("width", WIDTHS.values())
@pytest.mark.parametrize("scales", [3, 7, 12, 20])
def test_nothing_in_a_heat_map_overprints(width, scales):
    """In all panels numbers that fit into their cells, or one bar of colors."""
    runs = swept(**{"init.scale": tuple(np.geomspace(0.001, 10, scales)), "seed": (0,)}).label(
        **{LOSS: lambda frame: 0.00123 * (1 + frame["init.scale"]) + (frame["activation"] == "relu")}
    )
    page = plot(runs, Choice(x="init.scale", y="hidden_size", z=LOSS, panel="activation"), width)
    page.figure.draw_without_rendering()
    panels, bars = [*page.axes.values()], len(page.figure.axes) - len(page.axes)
    for ax in panels:
        cell = ax.get_window_extent().width / scales
        assert all(text.get_window_extent().width < cell for text in ax.texts)
        ticks = [label.get_window_extent() for label in ax.get_xticklabels()]
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(ticks)) or {
            label.get_rotation() for label in ax.get_xticklabels()
        } == {30}
        assert ax.get_tightbbox().x1 < page.figure.bbox.x1
    assert [len(ax.texts) for ax in panels] == [0 if bars else 2 * scales] * 2
    assert bars == 0 if scales == 3 else bars < 2
    inner = [ax.get_ylabel() for ax in panels if not ax.get_subplotspec().is_first_col()]
    assert not any(inner) and bool(inner) == (width > WIDTHS["paper"])


def test_a_heat_map_holds_the_median_of_each_cell_and_nothing_where_most_runs_diverged():
    runs = swept()
    lost = (runs.table["init.scale"] == 1.0) & (runs.table["seed"] < 3) & (runs.table["hidden_size"] == 4)
    runs = runs._replace(table=runs.table.assign(outcome=np.where(lost, "diverged", "finished")))
    page = plot(runs, Choice(kind="heat", x="init.scale", y="hidden_size", z=LOSS, panel="activation"))
    drawn = page.numbers.query("panel == '0'").set_index(["init.scale", "hidden_size"])["value"]
    finished = runs.table.query("activation == 'relu' and outcome == 'finished'")
    expected = finished.groupby(["init.scale", "hidden_size"])[LOSS].median().drop((1.0, 4))
    assert drawn.to_dict() == expected.to_dict()
    assert titles(page) == {"activation relu", "activation tanh"}
    assert "6 diverged" in caption(page) and "without a run" not in caption(page)


def test_undefined_params_are_a_value_of_their_own():
    runs = swept()
    runs = runs._replace(table=runs.table.assign(**{"init.scale": runs.table["init.scale"].replace(1.0, np.nan)}))
    assert "init.scale –" in titles(plot(runs, Choice(by="activation", pool=["hidden_size"])))


def test_every_run_is_in_a_panel_where_a_param_is_undefined_for_some():
    runs = swept()
    undefined = runs.table["activation"] == "relu"
    runs = runs._replace(table=runs.table.assign(slope=np.where(undefined, np.nan, 0.0)))
    runs = runs._replace(histories=runs.histories.join(runs.table["slope"], on="fingerprint"))
    page = plot(runs, Choice(panel="slope", pool=["activation", "init.scale", "hidden_size"]))
    assert page.numbers.groupby("panel")["runs"].max().sum() == len(runs.table)
    assert set(page.numbers["slope"]) == {"0", "–"}  # a column for each facet


def test_runs_without_the_axis_are_left_out_and_counted():
    runs = swept()
    runs = runs._replace(table=runs.table.assign(**{"init.scale": runs.table["init.scale"].replace(1.0, np.nan)}))
    page = plot(runs, Choice(x="init.scale"))
    assert "20 runs without init.scale are left out" in caption(page)
    assert set(page.numbers["init.scale"]) == {0.01, 0.1}


def test_a_number_at_which_all_runs_diverged_is_marked_with_a_cross_in_their_color():
    runs = swept(hidden_size=(2,))
    most = (runs.table["init.scale"] == 1.0) & (runs.table["activation"] == "tanh") | (runs.table["seed"] > 0)
    page = plot(
        runs._replace(table=runs.table.assign(outcome=np.where(most, "diverged", "finished"))), Choice(x="init.scale")
    )
    curves = {line.get_label(): line.get_color() for line in page["0"].lines}
    crosses = {line.get_color(): line.get_xdata().tolist() for line in page["0"].lines if line.get_marker() == "x"}
    assert crosses == {curves["tanh"]: [1.0], curves["relu"]: []}
    assert "crosses where all did" in caption(page)


def test_dots_of_equal_values_stand_side_by_side():
    runs = swept(seed=range(20), hidden_size=(2,), **{"init.scale": (0.1,)})
    runs.table[LOSS] = 1.0
    for line in plot(runs, Choice(x="activation", by="hidden_size"))["0"].lines:
        x = np.unique(line.get_xdata())
        assert len(x) == 20
        assert np.ptp(x) < 0.9  # apart from those of the next activation


def ticks(axis) -> dict[str, Bbox]:
    """The labels that are seen, and where."""
    low, high = sorted(axis.get_view_interval())
    places = zip([*axis.get_majorticklocs(), *axis.get_minorticklocs()], axis.get_ticklabels(which="both"), strict=True)
    return {
        text.get_text(): text.get_window_extent() for place, text in places if low <= place <= high and text.get_text()
    }


@pytest.mark.parametrize("width", WIDTHS.values())
@pytest.mark.parametrize("scales", [(0.011, 0.05, 0.2, 0.9), (0.2, 0.3, 0.5, 8), (1e-4, 1e-2, 1, 100), (3, 5, 95)])
def test_logarithmic_axes_have_plain_numbers_that_do_not_overprint(width, scales):
    runs = swept(**{"init.scale": scales, "hidden_size": (2,)}).label(**{LOSS: lambda frame: 1.3 * frame["init.scale"]})
    page = plot(runs, Choice(x="init.scale"), width)
    page.figure.draw_without_rendering()
    ax = page["0"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    for axis, start, end in ((ax.xaxis, "x0", "x1"), (ax.yaxis, "y0", "y1")):
        found = ticks(axis)
        assert len(found) >= 2 and all(float(word) > 0 for word in found)
        boxes = sorted(found.values(), key=lambda box: getattr(box, start))
        assert all(getattr(a, end) < getattr(b, start) for a, b in itertools.pairwise(boxes))


def test_the_numbers_that_were_swept_are_marked_and_whole_ones_have_whole_ticks():
    page = plot(swept(**{"hidden_size": (2, 3, 4), "init.scale": (1.0,)}), Choice(x="hidden_size"))
    page.figure.draw_without_rendering()
    assert {
        (line.get_marker(), *line.get_xdata()) for line in page["0"].lines if line.get_label() in ("tanh", "relu")
    } == {("o", 2, 3, 4)}
    assert [*ticks(page["0"].xaxis)] == ["2", "3", "4"]


def test_dots_stand_about_their_own_value_also_where_the_others_diverged():
    runs = swept(**{"hidden_size": (2, 4, 8)})
    lost = runs.table["init.scale"] == 1.0
    runs = runs._replace(table=runs.table.assign(outcome=np.where(lost, "diverged", "finished")))
    page = plot(runs, Choice(x="init.scale", kind="dots", by="hidden_size", panel="activation"))
    places = np.concatenate([line.get_xdata() for line in page["0"].lines])
    assert np.abs(places - places.round()).max() < 0.3  # nearer than to those of the next value
    assert page["0"].get_xlim() == (-0.5, 2.5) and page["0"].get_xticks().tolist() == [0, 1, 2]


def test_a_panel_whose_runs_all_diverged_says_so_and_the_others_keep_their_scale():
    runs = swept()
    lost = runs.table["hidden_size"] == 4
    runs = runs._replace(table=runs.table.assign(outcome=np.where(lost, "diverged", "finished")))
    page = plot(runs, Choice(x="init.scale", by="activation", panel="hidden_size"))
    page.figure.draw_without_rendering()
    assert [text.get_text() for text in page["1"].texts] == ["all runs diverged"]
    low, high = page["0"].get_ylim()
    assert low < runs.table.loc[~lost, LOSS].min() and high > runs.table.loc[~lost, LOSS].max()


def test_a_run_of_two_sweeps_counts_once_unless_they_are_told_apart():
    runs = swept()
    twice = Runs(*(pd.concat([frame.assign(sweep=name) for name in "ab"]) for frame in runs[:2]), {})
    few = Choice(x="init.scale", by="activation", panel="hidden_size")
    assert set(plot(twice, few).numbers["runs"]) == {5}
    assert "Median over seed (5);" in caption(plot(twice, few))
    assert set(plot(twice, few._replace(by="sweep", pool=["activation"])).numbers["runs"]) == {10}


def test_what_has_a_place_is_not_named_as_pooled():
    assert caption(plot(swept(), Choice(x="seed", by="activation"))).startswith("One run each")


def test_losses_on_their_way_to_infinity_leave_room_for_the_others():
    runs = swept()
    runs.histories.loc[0, LOSS] = 1e300
    page = plot(runs, Choice(pool=["init.scale", "hidden_size"]))
    assert page["0"].get_ylim()[1] < 1e5
    assert "Cut off" in caption(page)
    page.figure.draw_without_rendering()  # axes of 300 decades overflow


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(y="train/los"), r"y=train/los.*did you mean train/loss"),
        (Choice(by="activatoin"), r"by=activatoin.*did you mean activation"),
        (Choice(x="data"), r"x=data: these runs have no such thing"),
        (Choice(pool=["nothing"]), r"pool=nothing"),
        (Choice(kind="pie"), r"kind=pie is not a choice; choices: curves, final, dots, heat"),
        (Choice(kind="heat", x="train.steps", y="activation"), r"x=train.steps"),
        (Choice(where={"hidden_size": [3.0]}), r"where.hidden_size=3: no run has it; values there: 2, 4"),
        (Choice(where={"hidden": [3.0]}), r"where=hidden: .*did you mean hidden_size"),
        (Choice(kind="curves", x="init.scale"), r"drawn over x=step"),
        (Choice(kind="curves", z=LOSS), r"z=train/loss is of a heat map"),
        (Choice(kind="heat", x="seed", y="seed"), r"the same axis"),
        (Choice(kind="heat"), r"kind=heat needs x=<key> and y=<key>: what varied is activation"),
        (Choice(kind="dots"), r"kind=dots needs x=<key>: what varied"),
        (Choice(kind="final", x="activation"), r"needs a number as x, not x=activation"),
        (Choice(by="activation", pool=["activation"]), r"pool=activation has a place already"),
    ],
)
def test_what_cannot_be_drawn_is_named(choice, words):
    with pytest.raises(UserError, match=words):
        plot(swept(), choice)


def test_an_axis_that_did_not_vary_is_named():
    with pytest.raises(UserError, match="data has one value"):
        plot(swept(data=("flower",)), Choice(kind="heat", x="data", y="activation", z=LOSS))


def test_too_many_panels_are_refused_with_what_helps():
    with pytest.raises(UserError, match=r"more than 12 panels.*where.<key>.*pool="):
        plot(swept(data=tuple("abcdefg")), Choice())
