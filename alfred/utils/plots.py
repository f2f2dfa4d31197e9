"""Curves, bars and distributions drawn on axes that the caller gives; matplotlib is imported when drawing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

__all__ = [
    "bar_chart",
    "create_fig",
    "plot_curves",
    "plot_sampled_hyperparams",
    "plot_vertical_densities",
    "smooth_out",
]

Floats = NDArray[np.float64]
Limits = tuple[float | None, float | None]
PerCurve = Sequence[Any] | None  # one entry per curve, None for what has none

# Okabe & Ito, "Color Universal Design" (2008): told apart with every kind of colour vision. Their yellow,
# hardly seen on white, comes last.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000", "#F0E442")
# With more curves than colours the next round differs by its line.
LINE_STYLES = ("-", "--", ":", "-.")


def create_fig(axes_shape: tuple[int, int], figsize: tuple[float, float] | None = None) -> tuple[Figure, Any]:
    """A figure and its axes: one, or an array without the dimensions of size 1.

    Needs no display, and nobody keeps the figure alive when the caller is done with it. `figsize` in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_rows, n_columns = axes_shape
    figure = Figure(figsize=figsize or (8 * n_columns, 5 * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(n_rows, n_columns)


def plot_curves(
    ax: Axes,
    ys: Sequence[Any],
    xs: PerCurve = None,
    colors: PerCurve = None,
    markers: PerCurve = None,
    markersize: float = 15,
    markevery: int | None = None,
    labels: PerCurve = None,
    xlabel: str = "",
    ylabel: str = "",
    xlim: Limits = (None, None),
    ylim: Limits = (None, None),
    axis_font_size: float = 22,
    tick_font_size: float = 18,
    n_x_ticks: int = 4,
    n_y_ticks: int = 4,
    title: str = "",
    title_font_size: float = 24,
    fill_up: PerCurve = None,
    fill_down: PerCurve = None,
    alpha_fill: float = 0.1,
    error_up: PerCurve = None,
    error_down: PerCurve = None,
    smooth: bool = False,
    add_legend: bool = True,
    legend_outside: bool = False,
    legend_font_size: float = 20,
    legend_pos: tuple[float, float] = (0.5, -0.2),
    legend_loc: str = "upper center",
    legend_n_columns: int = 1,
    legend_marker_first: bool = True,
    hlines: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Draw one curve per entry of `ys`, over `xs` or the indices, with bands or bars of error around them.

    `fill_up`, `fill_down`, `error_up` and `error_down` hold for each curve distances >= 0 from it. Points
    whose x or y is None are left out and the line goes on; NaN interrupts it. A curve that is None is not
    drawn. With `smooth` the curve itself stays visible, faintly. `hlines` are keyword arguments of
    matplotlib's `hlines`. `legend_pos` counts for a legend outside of the axes.
    """
    bounds = (fill_up, fill_down, error_up, error_down)
    places = []
    for at, y in enumerate(ys):
        if y is not None:
            style = _style(at, _entry(colors, at)) | {"marker": _entry(markers, at), "markersize": markersize}
            style |= {"markevery": markevery or max(1, len(y) // 10), "label": _entry(labels, at)}
            points = _points(_entry(xs, at), y, [_entry(bound, at) for bound in bounds])
            _draw_curve(ax, points, style, alpha_fill, smooth)
            places.append(points[0])
    _write_texts(ax, title, xlabel, ylabel, title_font_size, axis_font_size)
    _limit(ax.set_xlim, xlim)
    _draw_hlines(ax, hlines)
    _limit(ax.set_ylim, ylim)
    _set_ticks(ax, tick_font_size, n_x_ticks, n_y_ticks, places)
    if add_legend:
        place: dict[str, Any] = {"bbox_to_anchor": legend_pos} if legend_outside else {}
        look: dict[str, Any] = {"fontsize": legend_font_size, "markerfirst": legend_marker_first}
        _draw_legend(ax, loc=legend_loc, ncols=legend_n_columns, **place, **look)


def bar_chart(
    ax: Axes,
    scores: Mapping[str, Any],
    err_up: Mapping[str, Any] | None = None,
    err_down: Mapping[str, Any] | None = None,
    capsize: float = 10.0,
    colors: Mapping[str, Any] | Sequence[Any] | None = None,
    group_names: Sequence[str] | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str | None = "",
    cmap: str | None = None,
) -> None:
    """Groups of bars: `scores` maps a name (a colour) to its value in every group, a dictionary or a list.

    `err_up` and `err_down`, of the same form, are distances >= 0 from the score. None and NaN leave a gap.
    """
    if not scores:
        return
    width = 0.8 / len(scores)
    longest = max(len(values) for values in scores.values())
    for at, (name, values) in enumerate(scores.items()):
        heights = _floats(_values(values))
        color = colors.get(name) if isinstance(colors, Mapping) else _entry(colors, at)
        if color is None and cmap is not None:
            color = _from_colormap(cmap, at / len(scores))
        positions = np.arange(len(heights)) + (at - (len(scores) - 1) / 2) * width
        errors = [_distances((side or {}).get(name), len(heights)) for side in (err_down, err_up)]
        bars: dict[str, Any] = {"yerr": np.stack(errors), "capsize": capsize} if err_up or err_down else {}
        ax.bar(positions, heights, width, color=color or _color(at), ecolor="#555555", label=name, **bars)
    if group_names is None:
        first = next(iter(scores.values()))
        group_names = [str(name) for name in first] if isinstance(first, Mapping) else None
    if group_names is not None:
        ax.set_xticks(range(longest), [*group_names, *[""] * longest][:longest])
    _write_texts(ax, title or "", xlabel, ylabel, 12, 12)
    ax.legend(loc="upper right")


def plot_vertical_densities(
    ax: Axes,
    ys: Sequence[Any],
    colors: PerCurve = None,
    labels: PerCurve = None,
    xlabel: str = "",
    ylabel: str = "",
    axis_font_size: float = 22,
    tick_font_size: float = 18,
    title: str = "",
    title_font_size: float = 24,
    make_boxplot: bool = False,
    whis: tuple[float, float] = (0, 99),
    hlines: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Each entry of `ys` as a column of half transparent points, or as a box plot whose whiskers end at the
    percentiles `whis`. None and NaN are left out; an empty entry keeps its column.
    """
    columns = [_finite(y) for y in ys]
    names = [str(_entry(labels, at) or "") for at in range(len(columns))]
    for at, column in enumerate(columns, start=1):
        color = _entry(colors, at - 1) or _color(at - 1)
        if not make_boxplot:
            ax.plot(np.full(len(column), at), column, linestyle="", marker="o", alpha=0.5, color=color)
        elif len(column):
            _draw_box(ax, at, column, color, whis)
    ax.set_xlim(0.5, max(1, len(columns)) + 0.5)
    _draw_hlines(ax, hlines)
    ax.set_xticks(range(1, len(columns) + 1), names, rotation=45, ha="right")
    _write_texts(ax, title, xlabel, ylabel, title_font_size, axis_font_size)
    _set_ticks(ax, tick_font_size, None, 5)


def plot_sampled_hyperparams(
    ax: Any, param_samples: Mapping[str, Sequence[Any]], log_params: Iterable[str]
) -> None:
    """One row of points for each hyper-parameter, at the values that were drawn of it.

    `ax`: as many axes as there are hyper-parameters, or a single one for one of them. Those named in
    `log_params` get a logarithmic scale if all their values are positive; values that are no numbers stand
    side by side as categories.
    """
    rows = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(rows) < len(param_samples):
        raise ValueError(f"{len(param_samples)} hyper-parameters need as many axes, not {len(rows)}")
    logarithmic = set(log_params)
    for at, (row, (name, values)) in enumerate(zip(rows, param_samples.items(), strict=False)):
        is_numeric = all(isinstance(value, int | float | np.number) for value in values)
        places = [value if is_numeric else str(value) for value in values]
        row.plot(
            places, np.zeros(len(places)), linestyle="", marker="o", alpha=0.3, color=_color(at), label=name
        )
        if name in logarithmic and is_numeric and all(value > 0 for value in values):
            row.set_xscale("log")
        elif is_numeric:
            row.xaxis.set_major_locator(tick_locator(9, [_floats(values)]))
        row.set_yticks([])
        row.legend(loc="upper right")


def tick_locator(n: int, data: Sequence[Floats] = ()) -> MaxNLocator:
    """About `n` ticks, at most n + 2, at round numbers, and at whole ones where all `data` are whole.

    `data`: arrays (m,) of what stands along the axis. No epoch is the 1.2th.
    """
    from matplotlib.ticker import MaxNLocator

    values = np.concatenate([*data, np.empty(0)])
    values = values[np.isfinite(values)]
    is_whole = len(values) > 0 and bool(np.all(values == np.rint(values)))
    steps = [1, 2, 2.5, 5, 10]
    return MaxNLocator(n + 1, steps=steps, integer=is_whole, min_n_ticks=1 if is_whole else 2)


def smooth_out(data_serie: Iterable[float | None], smooth_factor: float = 0.2) -> list[float | None]:
    """An exponential moving average: each value is `smooth_factor` of the last mean and the rest of its own.

    None and NaN stay where they are and count for nothing. ValueError unless 0 < smooth_factor < 1.
    """
    if not 0 < smooth_factor < 1:
        raise ValueError(f"smooth_factor must lie between 0 and 1, not at {smooth_factor}")
    mean: float | None = None
    smoothed: list[float | None] = []
    for value in data_serie:
        if value is None or math.isnan(value):
            smoothed.append(value)
        else:
            mean = value if mean is None else smooth_factor * mean + (1 - smooth_factor) * value
            smoothed.append(mean)
    return smoothed


def _entry(column: PerCurve, at: int) -> Any:
    """What a list says for one curve; None where there is no list or it is too short."""
    return column[at] if column is not None and at < len(column) else None


def _points(x: Any, y: Any, columns: list[Any]) -> tuple[Any, ...]:
    """x, y and the distances that belong to them as arrays, without the points whose x or y is None."""
    y = _values(y)
    x = range(len(y)) if x is None else _values(x)
    given = [None if column is None else _distances(column, len(y)) for column in columns]
    for what, values in [("x", x), *(("an error", values) for values in given if values is not None)]:
        if len(values) != len(y):
            raise ValueError(f"a curve has {len(values)} values of {what} and {len(y)} of y")
    kept = np.array([a is not None and b is not None for a, b in zip(x, y, strict=True)], dtype=bool)
    distances = (None if values is None else values[kept] for values in given)
    return _floats(x)[kept], _floats(y)[kept], *distances


def _values(values: Any) -> list[Any]:
    return list(values.values() if isinstance(values, Mapping) else values)


def _floats(values: Iterable[Any]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _finite(values: Any) -> Floats:
    numbers = _floats(() if values is None else _values(values))
    return numbers[np.isfinite(numbers)]


def _distances(values: Any, length: int) -> Floats:
    """As many distances as there are values: given so, or one for all, or none."""
    if values is None:
        return np.zeros(length)
    return (
        np.full(length, values, dtype=np.float64)
        if isinstance(values, int | float | np.number)
        else _floats(_values(values))
    )


def _color(at: int) -> str:
    return PALETTE[at % len(PALETTE)]


def _style(at: int, color: Any) -> dict[str, Any]:
    round_number = at // len(PALETTE)
    line = LINE_STYLES[round_number % len(LINE_STYLES)]
    return {"color": _color(at) if color is None else color, "linestyle": line}


def _from_colormap(name: str, share: float) -> Any:
    from matplotlib import colormaps

    return colormaps[name](share)


def _draw_curve(ax: Axes, points: tuple[Any, ...], style: dict[str, Any], alpha: float, smooth: bool) -> None:
    x, y, fill_up, fill_down, error_up, error_down = points
    color = style["color"]
    if fill_up is not None and fill_down is not None:
        ax.fill_between(x, y - fill_down, y + fill_up, color=color, alpha=alpha, linewidth=0)
    if error_up is not None and error_down is not None:
        ax.errorbar(x, y, yerr=np.stack([error_down, error_up]), color=color, linestyle="", capsize=4)
    if smooth:
        ax.plot(x, y, color=color, alpha=min(1.0, 3 * alpha))
        y = _floats(smooth_out(y.tolist()))
    ax.plot(x, y, **style)


def _draw_box(ax: Axes, position: int, values: Floats, color: Any, whis: tuple[float, float]) -> None:
    ax.boxplot(
        values,
        positions=[position],
        widths=0.5,
        whis=whis,
        sym="o",
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": color},
        flierprops={"markerfacecolor": color},
        medianprops={"color": "black", "linewidth": 2},
    )


def _limit(set_limits: Callable[[float | None, float | None], Any], limits: Limits) -> None:
    """No limits leave the axis free to widen for what is drawn later."""
    if tuple(limits) != (None, None):
        set_limits(*limits)


def _draw_hlines(ax: Axes, hlines: Sequence[Mapping[str, Any]] | None) -> None:
    """Lines from side to side that leave the limits of x as they are."""
    if not hlines:
        return
    left, right = ax.get_xlim()
    for hline in hlines:
        plain = {} if "color" in hline else {"colors": "#555555"}
        ax.hlines(**{"xmin": left, "xmax": right, **plain, **hline})
    ax.set_xlim(left, right)


def _write_texts(
    ax: Axes, title: str, xlabel: str, ylabel: str, title_font_size: float, axis_font_size: float
) -> None:
    ax.set_title(title, fontsize=title_font_size)
    ax.set_xlabel(xlabel, fontsize=axis_font_size)
    ax.set_ylabel(ylabel, fontsize=axis_font_size)


def _set_ticks(
    ax: Axes, font_size: float, n_x: int | None, n_y: int | None, places: Sequence[Floats] = ()
) -> None:
    """At most about so many ticks, of x for the data `places`; a scale that is not linear keeps its own."""
    for axis, n, data in ((ax.xaxis, n_x, places), (ax.yaxis, n_y, ())):
        if n is not None and axis.get_scale() == "linear":
            axis.set_major_locator(tick_locator(n, data))
    ax.tick_params(axis="both", which="major", labelsize=font_size)


def _draw_legend(ax: Axes, **where_and_how: Any) -> None:
    if ax.get_legend_handles_labels()[1]:
        ax.legend(framealpha=0.25, **where_and_how)
