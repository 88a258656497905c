"""What every binary shares: parsing, `--help`, exit statuses, and a user's mistake in one line.

Exits: 0 done; 1 some inputs failed; 2 the user's mistake, wrong flags included; 130 stopped by Ctrl-C.
"""

import os
import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from soundnet_tf.errors import SoundNetError


def run(main: Callable[[Sequence[str]], int | None], module: str, doc: str | None) -> None:
    """Parse the flags of `module`, call `main` with what is left of the command line, exit with its status."""
    command = os.path.basename(sys.argv[0])
    # What is said on stderr is for the user; TensorFlow's own chatter is for whoever asks for it.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    logging.set_verbosity(logging.WARNING)

    def parse(argv: Sequence[str]) -> list[str]:
        if any(word.lstrip('-') in ('help', 'h', 'helpfull', 'helpshort') for word in argv[1:] if word[:1] == '-'):
            print(_help(command, module, doc))
            sys.exit(0)
        try:
            return flags.FLAGS(list(argv))
        except flags.Error as error:
            _complain(command, f'{error}. See {command} --help')
            sys.exit(2)

    def guarded(argv: Sequence[str]) -> int | None:
        try:
            return main(argv[1:])
        except SoundNetError as error:
            _complain(command, str(error))
            return 2
        except KeyboardInterrupt:
            _complain(command, 'stopped; what is finished stays')
            return 130

    app.run(guarded, flags_parser=parse)


def _help(command: str, module: str, doc: str | None) -> str:
    # absl knows the flags of the running script by its path, those of an imported module by name.
    own = flags.FLAGS.flags_by_module_dict().get(sys.argv[0] if module == '__main__' else module, [])
    lines = [(doc or '').strip(), '', f'Flags of {command}:']
    for flag in own:
        value = 'required' if flag.default is None and flag.validators else f'default {flag.default_as_str}'
        lines.append(f'  --{flag.name}: {flag.help} ({value})')
    return '\n'.join(lines)


def _complain(command: str, message: str) -> None:
    print(f'{command}: {" ".join(message.split())}', file=sys.stderr)
