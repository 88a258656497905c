"""Draw what `growth.py` measured, as ratios: python growth_plot.py MEASURED.json PLOT.svg."""

import json
import sys

import matplotlib

matplotlib.use('svg')
# The same file from the same numbers.
matplotlib.rcParams |= {'svg.hashsalt': 'growth', 'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False}
from matplotlib import pyplot as plot  # noqa: E402


def main(measured, out):
    with open(measured) as file:
        panels = json.load(file)
    figure, axes = plot.subplots(1, len(panels), figsize=(11, 3), sharey=True, layout='constrained')
    for axis, (title, rows) in zip(axes, panels.items(), strict=True):
        counts, seconds, memory = zip(*rows, strict=True)
        axis.plot(counts, [one / seconds[0] for one in seconds], 'o-', label='time')
        axis.plot(counts, [one / memory[0] for one in memory], 's--', label='peak memory')
        axis.set(xscale='log', yscale='log', xlabel=title)
        axis.set_xticks(counts, [f'{count:,}' for count in counts])
        axis.minorticks_off()
        axis.grid(axis='y', alpha=0.3)
    axes[0].set_yticks([1, 2, 5, 10, 20, 50, 100], ['1', '2', '5', '10', '20', '50', '100'])
    axes[0].set_ylabel('times the first')
    axes[0].legend(frameon=False)
    figure.savefig(out, metadata={'Date': None})


if __name__ == '__main__':
    main(*sys.argv[1:])
