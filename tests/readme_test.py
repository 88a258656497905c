"""README: its figures are those of the code, and its output is that of its commands."""

import pathlib
import re

import pytest

from soundnet_tf import geometry
from soundnet_tf.spec import SAMPLE_RATE, SOUNDNET5, SOUNDNET8
from tools import first_commands

README = (pathlib.Path(__file__).parents[1] / 'README.md').read_text()
DOCS = pathlib.Path(__file__).parents[1] / 'docs'


def row(label):
    (line,) = (line for line in README.splitlines() if line.startswith(f'| {label}'))
    return [cell.strip() for cell in line.strip('|').split('|')][1:]


# As `load` gives it: without the steps at a clip's end that were never trained.
ORIGINAL = geometry.trim_edges(SOUNDNET8, 20 * SAMPLE_RATE)


@pytest.mark.parametrize(('column', 'spec'), [(0, SOUNDNET8), (1, SOUNDNET5)])
def test_the_table_of_the_nets(column, spec):

    def both(layer):
        hop, field = geometry.hop(spec, layer), geometry.receptive_field(spec, layer)
        return f'{hop / SAMPLE_RATE:.3f} s and {field / SAMPLE_RATE:.{3 if field < SAMPLE_RATE else 2}f} s'

    assert row('feature layer')[column].startswith(spec.feature_layer)
    assert row('its hop and receptive field')[column] == both(spec.feature_layer)
    assert row('its shortest clip')[column] == geometry.seconds(geometry.min_samples(spec, spec.feature_layer))
    assert row('their hop and receptive field')[column] == both(spec.head_alias)
    assert row('their shortest clip')[column] == geometry.seconds(geometry.min_samples(spec, spec.head_alias))


def test_the_table_of_the_layers():
    rows = [line for line in (DOCS / 'features.md').read_text().splitlines() if re.match(r'\| (conv|pool)', line)]
    assert len(rows) == 4
    for row in rows:
        layer, channels, *seconds = [cell.strip() for cell in row.strip('|').split('|')]
        assert int(channels.replace(',', '')) == geometry.channels(ORIGINAL, layer)
        figures = (geometry.hop, geometry.receptive_field, geometry.min_samples)
        for shown, figure in zip(seconds, figures, strict=True):
            digits = len(shown.removesuffix(' s').partition('.')[2])
            assert shown == f'{figure(ORIGINAL, layer) / SAMPLE_RATE:.{digits}f} s'


def test_both_commands_are_shown():
    assert '    make demo' in README
    assert '    make test' in README


def test_the_first_commands_print_what_readme_shows(tmp_path):
    """On the included clips; a number may be off by what another library rounds."""
    assert [command.split()[0] for command in first_commands.commands()] == ['soundnet-tag', 'soundnet-embed']
    number = r'\d+\.\d(?=%)'
    for command, shown in first_commands.commands().items():
        printed = first_commands.said(command, tmp_path)
        assert re.sub(f' *{number}', '', printed) == re.sub(f' *{number}', '', shown)
        numbers = [[float(found) for found in re.findall(number, text)] for text in (printed, shown)]
        assert numbers[0] == pytest.approx(numbers[1], abs=0.3)
