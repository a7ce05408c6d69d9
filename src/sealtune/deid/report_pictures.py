"""Pictures of a report as SVG for a page: the same bytes for the same figures.

Colours are variables of the page, so that one picture serves a light and a dark screen and paper.
Every picture stands beside a table that says the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from sealtune.deid.report_figures import TENTHS, PageFigures
from sealtune.errors import Code, ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH: Final = 7.2  # inches, of 72 points
_ROW: Final = 0.29
# Stand for variables of the page until the picture is drawn; no other colour is used.
_COLOURS: Final = {
    "#010203": "var(--ink)",
    "#040506": "var(--line)",
    "#070809": "var(--first)",
    "#0a0b0c": "var(--second)",
    "#0d0e0f": "var(--third)",
}
_INK, _LINE, _FIRST, _SECOND, _THIRD = _COLOURS
_SETTINGS: Final[dict[str, Any]] = {
    "svg.fonttype": "none",  # text stays text: it can be read out, found and copied
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
    "hatch.linewidth": 0.8,
}
_METADATA: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}
_REFERENCE: Final = re.compile(r'(\bid="|url\(#|href="#)')


def report_pictures(figures: PageFigures) -> Mapping[str, str]:
    """Return the pictures of what was measured, as `<svg>` elements by the figures' names.

    Raises:
        ConfigError: `matplotlib` is not installed.
    """
    try:
        from matplotlib import rc_context  # heavy, and an option
    except ModuleNotFoundError as error:
        message = f"a report's pictures: the package {error.name} is not installed"
        remedy = "pip install 'sealtune[deid]'"
        raise ConfigError(Code.DEPENDENCY_MISSING, message, remedy=remedy) from None
    drawn: dict[str, str] = {}
    # A user's own settings would make other bytes of the same figures.
    with rc_context():
        _settle()
        if figures.found:
            drawn["found"] = _svg("found", _found(figures.found))
        if figures.confidence:
            drawn["confidence"] = _svg("confidence", _confidence(figures.confidence))
        if figures.residual:
            drawn["residual"] = _svg("residual", _residual(figures.residual))
        if figures.group_sizes:
            drawn["group_sizes"] = _svg("group_sizes", _group_sizes(figures.group_sizes))
        if figures.linkage:
            drawn["linkage"] = _svg("linkage", _linkage(figures.linkage))
    return drawn


def _settle() -> None:
    from matplotlib import rcdefaults, rcParams

    rcdefaults()
    rcParams.update(_SETTINGS)


def _axes(height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _found(found: Sequence[tuple[str, int]]) -> Figure:
    figure, axes = _axes(0.7 + _ROW * len(found))
    bars = axes.barh([name for name, _ in found], [count for _, count in found], color=_FIRST)
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    _lying(axes, "findings in the input")
    return figure


def _confidence(bins: Sequence[int]) -> Figure:
    figure, axes = _axes(2.4)
    names = [f"{tenth / TENTHS:.1f}" for tenth in range(TENTHS)]
    bars = axes.bar(names, bins, color=_FIRST, width=0.85)
    axes.bar_label(bars, fmt="{:,.0f}", padding=2)
    _standing(axes, "confidence, from", "findings")
    return figure


def _residual(rows: Sequence[tuple[str, int, int, int]]) -> Figure:
    figure, axes = _axes(1.1 + _ROW * len(rows))
    names = [row[0] for row in rows]
    left = [0] * len(rows)
    # Hatched as well: colour alone says nothing to some readers, or on paper.
    for column, (label, colour, hatch) in enumerate(
        [
            ("second detector, sure", _THIRD, ""),
            ("second detector, possible", _SECOND, "///"),
            ("replaced, and there again", _FIRST, "xx"),
        ],
        start=1,
    ):
        widths = [int(row[column]) for row in rows]
        axes.barh(
            names, widths, left=left, label=label, color=colour, hatch=hatch, edgecolor=_INK, lw=0.5
        )
        left = [one + more for one, more in zip(left, widths, strict=True)]
    _lying(axes, "findings in the output")
    figure.legend(loc="outside upper left", ncols=3)
    return figure


def _group_sizes(sizes: Sequence[tuple[str, int]]) -> Figure:
    figure, axes = _axes(2.4)
    bars = axes.bar(
        [name for name, _ in sizes], [count for _, count in sizes], color=_FIRST, width=0.85
    )
    axes.bar_label(bars, fmt="{:,.0f}", padding=2)
    _standing(axes, "records that share the same quasi-identifiers", "records")
    return figure


def _linkage(shares: Sequence[tuple[str, float]]) -> Figure:
    figure, axes = _axes(0.7 + _ROW * len(shares))
    percent = [100 * share for _, share in shares]
    bars = axes.barh([name for name, _ in shares], percent, color=_FIRST)
    axes.bar_label(bars, fmt="{:.1f} %", padding=3)
    axes.set_xlim(0, 115)  # room for the label of a full bar
    axes.set_xticks(range(0, 101, 20))
    _lying(axes, "records matched with their person, %")
    return figure


def _lying(axes: Axes, label: str) -> None:
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(length=0)
    axes.set_xlabel(label)
    axes.margins(x=0.12)
    _whole_numbers(axes.xaxis)


def _standing(axes: Axes, across: str, up: str) -> None:
    axes.grid(visible=False, axis="x")
    axes.tick_params(length=0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.margins(y=0.15)
    _whole_numbers(axes.yaxis)


def _whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _svg(name: str, figure: Figure) -> str:
    from matplotlib import rcParams

    rcParams["svg.hashsalt"] = name  # names within the picture, otherwise drawn at random
    written = StringIO()
    figure.savefig(written, format="svg", metadata=_METADATA, transparent=True)
    text = written.getvalue()
    text = text[text.index("<svg") :]
    for mark, variable in _COLOURS.items():
        text = text.replace(mark, variable)
    # One page holds several pictures, and a name may occur once.
    text = _REFERENCE.sub(lambda found: f"{found[0]}{name}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-labelledby="{name}" ', 1)
