"""What all commands share: names, --version, headings in --help, and the choices of shared flags."""

import os
import shlex
import subprocess
import sys
from typing import get_args

import pytest

from soundnet_tf import audio, cli, storage
from soundnet_tf.cli import streams
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import engines
from soundnet_tf.nets.fast import inference
from soundnet_tf.version import __version__
from tools.build_file import ROOT, command

COMMANDS = sorted((ROOT / 'bin').glob('[a-z]*.py'))


def output_of(path, *arguments):
    done = subprocess.run([sys.executable, path, *arguments], check=True, capture_output=True, text=True, cwd=ROOT)
    return done.stdout


@pytest.mark.parametrize('path', COMMANDS, ids=lambda path: path.stem)
def test_every_command_has_a_version(path):
    assert output_of(path, '--version') == f'{command(path)} {__version__}\n'


def shell(words, cwd=ROOT, before=''):
    """soundnet-models in a shell, with redirections: its status and what it said on stderr and stdout."""
    command = f'{before}{shlex.quote(sys.executable)} {ROOT}/bin/models.py {words}'
    env = os.environ | {'PYTHONPATH': str(ROOT)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=cwd, env=env)
    return done.returncode, done.stderr, done.stdout


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        ('>&-', 'stdout: closed. Use another path, or fix this one'),
        ('--help >&-', 'stdout: closed. Use another path, or fix this one'),
        ('<&- >/dev/full', 'stdout: No space left on device. Use another path, or fix this one'),
        ('--help >/dev/full', 'stdout: No space left on device. Use another path, or fix this one'),
        ('2>&- >&-', ''),
        ('2>/dev/full >&-', ''),
    ],
)
def test_stdout_that_cannot_be_written(words, said):
    """One line and status 2; a closed or full stderr has no place for the line."""
    assert shell(words) == (2, f'soundnet-models: {said}\n' if said else '', '')


def test_a_full_pipe_that_does_not_block_is_not_waited_for(monkeypatch):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(reading), open(writing, 'w') as pipe:
        monkeypatch.setattr(sys, 'stderr', pipe)
        monkeypatch.setattr(sys, '__stderr__', pipe)
        streams.outlive_stderr()
        print('x' * 1_000_000, file=sys.stderr, flush=True)


def test_streams_that_are_not_needed():
    status, _, stdout = shell('<&- 2>&-')
    assert (status, stdout.split()[0]) == (0, 'name')


def test_a_working_directory_that_was_removed(tmp_path):
    (tmp_path / 'gone').mkdir()
    said = 'soundnet-models: the working directory was removed. Change to another folder\n'
    assert shell('', tmp_path / 'gone', before='rmdir ../gone; ') == (2, said, '')


def whole_folder(path):
    with storage.whole_folder(path) as folder:
        (folder / 'file').touch()


WRITES = {
    'a file': lambda path: storage.write_text(path, 'x'),
    'a folder': whole_folder,
    'a run': lambda path: storage.begin(path / 'run.json', {'steps': 1}),
    'a claimed file': lambda path: storage.Claim.of(path / 'file'),
}


@pytest.mark.parametrize('place', ['file/x', 'file/x/y', 'x' * 300, 'null/x', 'loop/x'])
@pytest.mark.parametrize('write', WRITES)
def test_every_output_that_cannot_be_written_is_one_line(tmp_path, capsys, write, place):
    """What all commands write with, at a place where nothing can be; and nothing is left behind."""
    (tmp_path / 'file').touch()
    (tmp_path / 'null').symlink_to(os.devnull)
    (tmp_path / 'loop').symlink_to('loop')
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises((SoundNetError, OSError)) as raised:
        WRITES[write](tmp_path / place)
    if isinstance(raised.value, OSError):
        assert cli._failed('soundnet-x', raised.value) == 2
        said = capsys.readouterr().err
        assert said.startswith(f'soundnet-x: {tmp_path}/{place[:4]}') or said.startswith('soundnet-x: /dev/null')
        assert said.endswith('. Use another path, or fix this one\n')
    assert sorted(tmp_path.rglob('*')) == before


def test_command_names_have_hyphens():
    assert command(ROOT / 'bin' / 'import_weights.py') == 'soundnet-import-weights'
    assert not any('_' in command(path) for path in COMMANDS)


def test_help_groups_flags_below_headings():
    lines = output_of(ROOT / 'bin' / 'finetune.py', '--help').splitlines()
    flags = {line.split(':')[0].strip(): index for index, line in enumerate(lines) if line.startswith('  --')}
    headings = ['The net:', 'Sound and augmentation:', 'Evaluation:', 'Optimiser:', 'Flags of all commands:']
    starts = [lines.index(heading) for heading in headings]
    assert starts == sorted(starts)
    assert starts[0] < flags['--width'] < starts[1] < flags['--gain_db'] < starts[2] < flags['--keep'] < starts[3]
    assert starts[3] < flags['--learning_rate'] < starts[4] < flags['--version']


def test_shared_flags_have_the_choices_of_the_library():
    assert get_args(cli.Short) == get_args(audio.Short)
    assert get_args(cli.Channel) == get_args(audio.Channel)
    assert get_args(cli.Edges) == get_args(engines.Edges)
    assert get_args(cli.EngineName) == get_args(engines.EngineName)
    assert get_args(cli.Precision) == get_args(inference.Precision)


def test_an_unexpected_argument_is_reported():
    cli.no_arguments([])
    with pytest.raises(SoundNetError, match=r"unexpected argument 'x'\. Use --y"):
        cli.no_arguments(['x'], 'Use --y')


@pytest.mark.parametrize(
    ('out', 'words'),
    [
        ('', '--out is empty (is a shell variable unset?)'),
        ('-', '--out=- is not stdout. Use /dev/stdout, no --out where that prints, or ./- for this name'),
        ('a.wav', 'a.wav: is one of the inputs. Use another --out'),
        ('./list.txt', './list.txt: is one of the inputs. Use another --out'),
    ],
)
def test_an_out_that_cannot_be_meant_is_refused(tmp_path, out, words):
    (tmp_path / 'a.wav').touch()
    (tmp_path / 'list.txt').touch()
    command = [sys.executable, ROOT / 'bin' / 'embed.py', f'--out={out}', '--paths_from=list.txt', 'a.wav']
    env = os.environ | {'PYTHONPATH': str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f'soundnet-embed: {words}. See soundnet-embed --help\n')


def test_runner_options_are_taken_from_the_command_line(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['soundnet-embed', 'a.wav', '--', '--flink_master=h'])
    assert cli.take_runner_options() == ['--flink_master=h']
    assert sys.argv == ['soundnet-embed', 'a.wav']
    assert cli.take_runner_options() == []
    with pytest.raises(SoundNetError, match='need a runner'):
        cli.check_runner_options(['--flink_master=h'], None)


LOUD = """
import pathlib, sys
from soundnet_tf import cli

def main(arguments):
    for _ in range(2):
        print('progress', file=sys.stderr)
    pathlib.Path('done').touch()
    if arguments:
        print('result')

cli.run(main, '__main__', '')
"""


@pytest.mark.parametrize(('arguments', 'status'), [([], 0), (['print'], 141)])
def test_without_readers_the_work_continues_and_a_lost_result_is_an_error(tmp_path, arguments, status):
    """As in `2>&1 | head -c1`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, '-c', LOUD, *arguments]
    done = subprocess.run(
        command, stdout=writer, stderr=writer, check=False, cwd=tmp_path, env=os.environ | {'PYTHONPATH': str(ROOT)}
    )
    os.close(writer)
    assert (done.returncode, (tmp_path / 'done').exists()) == (status, True)
