"""The README's figures are those of the code, and its output that of its commands."""

import pathlib
import re

import pytest

from soundnet_tf import geometry
from soundnet_tf.spec import SAMPLE_RATE, SOUNDNET5, SOUNDNET8
from tools import first_commands

README = (pathlib.Path(__file__).parents[1] / 'README.md').read_text()


def row(label):
    (line,) = (line for line in README.splitlines() if line.startswith(f'| {label}'))
    return [cell.strip() for cell in line.strip('|').split('|')][1:]


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


def test_both_commands_are_shown():
    assert '    make demo' in README
    assert '    make test' in README


def test_the_snippets_run_as_they_stand(tmp_path, monkeypatch, capsys):
    """On a net and a sound of the names that the demo leaves behind."""
    import soundnet_tf
    from soundnet_tf.prepare.sound import encode
    from soundnet_tf.testing import noise, thin_spec

    sound = tmp_path / 'demo-run' / 'videos' / 'held_out' / '2-00000.mp4'
    sound.parent.mkdir(parents=True)
    sound.write_bytes(encode(noise(10), 'mp3'))
    soundnet_tf.save_net(soundnet_tf.build(thin_spec()), tmp_path / 'demo-run' / 'run' / 'net')
    monkeypatch.chdir(tmp_path)
    snippets = [part.partition('```')[0] for part in README.split('```python\n')[1:]]
    assert len(snippets) == 3
    for snippet in snippets:
        exec(snippet, {})
    assert "Tag(head='places', name='beach'" in capsys.readouterr().out


def test_the_first_commands_say_what_stands_there(tmp_path):
    """On the clips that ship; a number may be off by what another library rounds."""
    assert [command.split()[0] for command in first_commands.commands()] == ['soundnet-tag', 'soundnet-embed']
    number = r'\d+\.\d(?=%)'
    for command, stands_there in first_commands.commands().items():
        printed = first_commands.said(command, tmp_path)
        assert re.sub(f' *{number}', '', printed) == re.sub(f' *{number}', '', stands_there)
        numbers = [[float(found) for found in re.findall(number, text)] for text in (printed, stands_there)]
        assert numbers[0] == pytest.approx(numbers[1], abs=0.3)
