"""README's first commands, with what they say.

SOUNDNET_DATA=data/ python -m tests.first_commands

writes their real output into README.md, for after another net ships.
"""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

README = pathlib.Path(__file__).parents[1] / 'README.md'
BEGIN, END = '```console\n', '```'


def commands():
    """Each command of README's only console block, and what README says that it says."""
    (block,) = [part.partition(END)[0] for part in README.read_text().split(BEGIN)[1:]]
    return dict(part.split('\n', 1) for part in block.split('$ ')[1:])


def said(command, folder):
    """What it says in ESC-10's folder, writing to `folder`. Anything but success is an error."""
    name, *arguments = shlex.split(command.replace('--out=', f'--out={folder}/'))
    module = f'soundnet_tf.bin.{name.removeprefix("soundnet-")}'
    clips = pathlib.Path(os.environ['SOUNDNET_DATA']) / 'esc10'
    done = subprocess.run([sys.executable, '-m', module, *arguments], capture_output=True, text=True, cwd=clips)
    assert (done.returncode, done.stderr) == (0, ''), done.stderr
    return done.stdout.replace(f'{folder}/', '')


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        block = ''.join(f'$ {command}\n{said(command, folder)}' for command in commands())
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(f'{before}{BEGIN}{block}{END}{rest.partition(END)[2]}')
