"""README's first commands, with what they say.

python -m tools.first_commands

writes their real output into README.md, for after another net ships.
"""

import pathlib
import shlex
import subprocess
import sys
import tempfile

from soundnet_tf.nets import lookup

README = pathlib.Path(__file__).parents[1] / 'README.md'
BEGIN, END = '```console\n', '```'


def commands():
    """Each command of README's only console block, and what README says that it says."""
    (block,) = [part.partition(END)[0] for part in README.read_text().split(BEGIN)[1:]]
    parts = [part.partition('\n') for part in block.split('$ ')[1:]]
    return {command: output for command, _, output in parts}


def said(command, folder):
    """What it says in the checkout, writing to `folder`. Anything but success is an error."""
    lookup.find('soundnet8')  # converted before, so that it does not say so
    name, *arguments = shlex.split(command.replace('--out=', f'--out={folder}/'))
    module = f'soundnet_tf.bin.{name.removeprefix("soundnet-").replace("-", "_")}'
    command = [sys.executable, '-m', module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=README.parent)
    assert not done.returncode, done.stdout
    return done.stdout.replace(f'{folder}/', '')


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        block = ''.join(f'$ {command}\n{said(command, folder)}' for command in commands())
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(f'{before}{BEGIN}{block}{END}{rest.partition(END)[2]}')
