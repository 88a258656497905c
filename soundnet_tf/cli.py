"""What every binary shares: parsing, `--help`, exit statuses, and a user's mistake in one line.

Exits: 0 done; 1 some inputs failed; 2 the user's mistake, wrong flags included; 130 stopped by Ctrl-C.
"""

import contextlib
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from absl import app, flags, logging

from soundnet_tf.errors import LostWorker, SoundNetError


def run(main: Callable[[Sequence[str]], int | None], module: str, doc: str | None) -> None:
    """Parse the flags of `module`, call `main` with what is left of the command line, exit with its status."""
    command = os.path.basename(sys.argv[0])
    # What is said on stderr is for the user; TensorFlow's own chatter is for whoever asks for it.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    logging.set_verbosity(logging.WARNING)

    def parse(argv: Sequence[str]) -> list[str]:
        if any(word.lstrip('-') in ('help', 'h', 'helpfull', 'helpshort') for word in argv[1:] if word[:1] == '-'):
            with _whoever_has_seen_enough():
                print(_help(command, module, doc), flush=True)
            sys.exit(0)
        try:
            return flags.FLAGS(list(argv))
        except UnicodeDecodeError:
            _complain(command, f'a --flagfile is no text. See {command} --help')
            sys.exit(2)
        except flags.Error as error:
            # absl says: flag --out=None: Flag --out must have a value other than None.
            missing = re.match(r'flag (--\w+)=None: .* other than None\.', str(error))
            said = f'{missing[1]} is missing' if missing else str(error).rstrip('.')
            _complain(command, f'{said}. See {command} --help')
            sys.exit(2)

    def guarded(argv: Sequence[str]) -> int | None:
        try:
            with _whoever_has_seen_enough():
                return main(argv[1:])
            return 0
        except SoundNetError as error:
            _complain(command, str(error))
            if isinstance(error, LostWorker):
                # TensorFlow would wait for the other worker once more, and tell of it at length.
                sys.stdout.flush()
                os._exit(error.status)
            return error.status
        except OSError as error:
            if not error.filename and error.errno != errno.ENOSPC:
                raise
            place = f'{error.filename}: ' if error.filename else ''
            _complain(command, f'{place}{error.strerror}. Choose another place, or mend this one')
            return 2
        except KeyboardInterrupt as stop:
            _complain(command, f'stopped; {str(stop) or "what is finished stays"}')
            return 130

    # A cluster that wants its machine back asks so: what can be saved is saved as at Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    app.run(guarded, flags_parser=parse)


@contextlib.contextmanager
def _whoever_has_seen_enough() -> Iterator[None]:
    """Ends well where nobody reads our output any more; Python would complain once more at its own exit."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _help(command: str, module: str, doc: str | None) -> str:
    # absl knows the flags of the running script by its path, those of an imported module by name.
    own = flags.FLAGS.flags_by_module_dict().get(sys.argv[0] if module == '__main__' else module, [])
    lines = [(doc or '').strip(), '', f'Flags of {command}:']
    for flag in own:
        required = any('must have a value' in validator.message for validator in flag.validators)
        value = ' (required)' if required else '' if flag.default is None else f' (default {flag.default_as_str})'
        lines.append(f'  --{flag.name}: {flag.help}{value}')
    return '\n'.join(lines)


def _complain(command: str, message: str) -> None:
    print(f'{command}: {" ".join(message.split())}', file=sys.stderr)


BEAM_RUNNERS = {'DirectRunner': 'apache_beam.runners.portability.fn_api_runner.FnApiRunner'}
"""By its short name it would fetch and run a program of the web (Prism) where there is one to be had."""


def beam_options(runner: str, more: Sequence[str]) -> Any:
    """The PipelineOptions of a runner of Apache Beam; `more` goes to it untouched.

    Raises SoundNetError where these are not its own.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    try:
        parsed = PipelineOptions([f'--runner={BEAM_RUNNERS.get(runner, runner)}', *more])
        parsed.get_all_options()  # their values are parsed only when they are asked for
        return parsed
    except SystemExit:
        raise SoundNetError(f'the options after -- are not those of {runner}: {" ".join(more)}') from None
