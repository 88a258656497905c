"""What every command shares: flags, parsing, `--help`, `--version`, exit statuses, and errors in one line.

Exits: 0 done; 1 some inputs failed; 2 a user's mistake, wrong flags included; 130 interrupted; 141 stdout was closed.
Without a reader of stderr the work continues, and its messages are dropped.
"""

import contextlib
import errno
import logging as python_logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Literal, TypeVar, get_args

from absl import app, flags, logging

from soundnet_tf.cli import outputs, streams
from soundnet_tf.errors import LostWorker, SoundNetError
from soundnet_tf.nets import native
from soundnet_tf.storage import kinds
from soundnet_tf.version import __version__

# A flag that is defined here belongs to the command that asks for it, in --help too.
flags.disclaim_key_flags()

Choice = TypeVar('Choice', bound=str)

# The libraries' own are in modules that load numpy; tests/bin/cli_test.py compares them.
Short = Literal['error', 'tile', 'pad']
Channel = Literal['first', 'mean']
Edges = Literal['drop', 'keep']
Precision = Literal['float32', 'bfloat16']
EngineName = Literal['auto', 'litert', 'openvino', 'tensorflow']


def run(
    main: Callable[[Sequence[str]], int | None],
    module: str,
    doc: str | None,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Parse the flags of `module`, call `main` with the other arguments, and exit with its status.

    `groups` has headings for --help, with the names of the flags below each.
    """
    command = _command(sys.argv[0])
    streams.replace_closed()
    streams.name_stdout()
    # TensorFlow's log messages tell users of a command nothing; set the variable to see them.
    if os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3') == '3':
        native.import_tensorflow_quietly()
    logging.set_verbosity(logging.WARNING)
    logging.get_absl_handler().setFormatter(python_logging.Formatter('%(message)s'))  # without date and line of code

    def parse(argv: Sequence[str]) -> list[str]:
        words = {word.lstrip('-') for word in argv[1:] if word[:1] == '-'}
        if words & {'help', 'h', 'helpfull', 'helpshort'}:
            _print_and_exit(command, _help(command, module, doc, groups or {}))
        if 'version' in words:
            _print_and_exit(command, f'{command} {__version__}')
        try:
            rest = flags.FLAGS(list(argv))
            outputs.check(rest[1:])
            return rest
        except UnicodeDecodeError:
            _complain(command, f'--flagfile is not a text file. See {command} --help')
            sys.exit(2)
        except flags.Error as error:
            # absl's text: flag --out=None: Flag --out must have a value other than None.
            missing = re.match(r'flag (--\w+)=None: .* other than None\.', str(error))
            reason = f'{missing[1]} is missing' if missing else str(error).rstrip('.')
            _complain(command, f'{reason}. See {command} --help')
            sys.exit(2)

    def guarded(argv: Sequence[str]) -> int | None:
        try:
            outputs.require_working_directory()
            status = main(argv[1:])
            sys.stdout.flush()
            return status
        except SoundNetError as error:
            _complain(command, str(error))
            if isinstance(error, LostWorker):
                # A normal exit would let TensorFlow wait for the failed worker again, and log a long trace.
                sys.stdout.flush()
                os._exit(error.status)
            return error.status
        except OSError as error:
            return _failed(command, error)
        except ModuleNotFoundError as error:
            if str(error.name).startswith('soundnet_tf'):
                raise
            _complain(
                command, f'{error.name} is not installed, and this needs it. Install the whole package: pip install .'
            )
            return 2
        except KeyboardInterrupt as stop:
            _complain(command, f'stopped; {str(stop) or "finished outputs are kept"}')
            return 130

    streams.outlive_stderr()
    # Cluster schedulers stop a job with SIGTERM: save what can be saved, as at Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    app.run(guarded, flags_parser=parse)


def _command(script: str) -> str:
    """`soundnet-tag`, for bin/tag.py too."""
    name = os.path.basename(script)
    return f'soundnet-{name.removesuffix(".py").replace("_", "-")}' if name.endswith('.py') else name


def _print_and_exit(command: str, text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        sys.exit(_failed(command, error))
    sys.exit(0)


def _failed(command: str, error: OSError) -> int:
    """Report a path, a disk or a stdout that cannot be used, and return the exit status; raise any other error."""
    if isinstance(error, BrokenPipeError) and (not error.filename or kinds.descriptor(error.filename) == 1):
        return streams.drop_stdout()
    if error.filename == 'stdout':
        streams.drop_stdout()
    where = f'{error.filename}: ' if error.filename else ''
    if not where and error.errno != errno.ENOSPC:
        raise error
    reason = 'closed' if error.errno == errno.EBADF else error.strerror
    _complain(command, f'{where}{reason}. Use another path, or fix this one')
    return 2


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _help(command: str, module: str, doc: str | None, groups: Mapping[str, Sequence[str]]) -> str:
    # absl lists the flags of a script by its path, those of an imported module by name.
    own = flags.FLAGS.flags_by_module_dict().get(sys.argv[0] if module == '__main__' else module, [])
    heading_of = {name: heading for heading, names in groups.items() for name in names}
    headed: dict[str, list[str]] = {'': [], **{heading: [] for heading in groups}}
    for flag in own:
        headed[heading_of.get(flag.name, '')].append(_flag_help(flag))
    lines, ungrouped = [(doc or '').strip()], headed.pop('')
    for heading, texts in {f'Flags of {command}': ungrouped, **headed}.items():
        lines += ['', f'{heading}:', *texts] if texts else []
    return '\n'.join([*lines, '', 'Flags of all commands:', '  --help: Print this.', '  --version: Print the version.'])


def _flag_help(flag: Any) -> str:
    required = any('must have a value' in validator.message for validator in flag.validators)
    has_default = flag.default not in (None, '', [])
    value = ' (required)' if required else f' (default {flag.default_as_str})' if has_default else ''
    help = flag.help.partition(';\n    repeat this option')[0]  # absl's, at a flag that can be repeated
    return f'  --{flag.name}: {help}{value}'


def _complain(command: str, message: str) -> None:
    print(f'{command}: {" ".join(message.split())}', file=sys.stderr)


def no_arguments(arguments: Sequence[str], hint: str = 'Values are passed as --flag=value') -> None:
    """Raise SoundNetError if a command that has only flags got anything else."""
    if arguments:
        raise SoundNetError(f'unexpected argument {arguments[0]!r}. {hint}')


def choice(name: str, default: Choice, values: Sequence[Choice], help: str) -> flags.FlagHolder[Choice]:
    """A flag with one of several values; its type is theirs."""
    holder: Any = flags.DEFINE_enum(name, default, list(values), help)
    return holder


def model_flag(
    help: str = 'The folder or the name of a saved net (default: soundnet8). soundnet-models lists names.',
) -> flags.FlagHolder[str | None]:
    """--model."""
    return flags.DEFINE_string('model', None, help)


def out_flag(help: str) -> flags.FlagHolder[str]:
    """--out, required."""
    return flags.DEFINE_string('out', None, help, required=True)


def layer_flag(
    help: str = "A layer or a head of the net (default: the net's feature layer).",
) -> flags.FlagHolder[str | None]:
    """--layer."""
    return flags.DEFINE_string('layer', None, help)


def layers_flag() -> flags.FlagHolder[Sequence[str] | None]:
    """--layer of several layers, with commas between them or as several flags; see `split`."""
    help = "Layers or heads of the net, separated by commas (default: the net's feature layer)."
    holder: Any = flags.DEFINE_multi_string('layer', None, help)
    return holder


def split(values: Sequence[str] | None) -> list[str]:
    """The names in the values of a flag that may be repeated and have commas."""
    return [name.strip() for value in values or () for name in value.split(',')]


def seed_flag(help: str) -> flags.FlagHolder[int]:
    """--seed."""
    return flags.DEFINE_integer('seed', 0, help, lower_bound=0)


def short_flag() -> flags.FlagHolder[Short]:
    """--short."""
    return choice('short', 'tile', get_args(Short), 'A clip that is too short: error, tile (repeat) or pad (silence).')


def decoder_flag() -> flags.FlagHolder[str]:
    """--decoder."""
    return flags.DEFINE_string('decoder', 'auto', 'Audio decoder: auto, miniaudio, soundfile, pyav or tfio.')


def strict_flag() -> flags.FlagHolder[bool]:
    """--strict."""
    return flags.DEFINE_boolean('strict', False, 'Refuse incomplete files instead of using what is there.')


def strict_folds_flag() -> flags.FlagHolder[bool]:
    """--strict, of commands that hold out folds."""
    help = 'Refuse folds that split recordings, instead of a warning.'
    return flags.DEFINE_boolean('strict', False, help)


def channel_flag() -> flags.FlagHolder[Channel]:
    """--channel."""
    help = 'Mono from several channels: the first channel, or their mean.'
    return choice('channel', 'first', get_args(Channel), help)


def edges_flag() -> flags.FlagHolder[Edges]:
    """--edges."""
    help = "Time steps at a clip's edges that see padding the net was not trained on: drop or keep."
    return choice('edges', 'drop', get_args(Edges), help)


def precision_flag() -> flags.FlagHolder[Precision]:
    """--precision, of inference."""
    help = 'bfloat16 is faster on processors that support it (cosine similarity to float32: 0.9999; tags may differ).'
    return choice('precision', 'float32', get_args(Precision), help)


def engine_flag() -> flags.FlagHolder[EngineName]:
    """--engine."""
    help = 'What runs the net: litert (the layers of its net.tflite), openvino, tensorflow, or auto, the quickest here.'
    return choice('engine', 'auto', get_args(EngineName), help)


def paths_from_flag() -> flags.FlagHolder[str | None]:
    """--paths_from."""
    return flags.DEFINE_string(
        'paths_from', None, 'A file that lists files, folders or globs, one per line; - for stdin.'
    )


def runner_flag() -> flags.FlagHolder[str | None]:
    """--runner."""
    help = 'Run on Apache Beam: DirectRunner, FlinkRunner, DataflowRunner, ...'
    return flags.DEFINE_string('runner', None, help)


def take_runner_options() -> list[str]:
    """Remove `--` and what follows it from the command line, and return it: the options of an Apache Beam runner."""
    if '--' not in sys.argv:
        return []
    at = sys.argv.index('--')
    options, sys.argv[at:] = sys.argv[at + 1 :], []
    return options


def check_runner_options(options: Sequence[str], runner: str | None) -> None:
    """Raise SoundNetError for options without a runner."""
    if options and not runner:
        raise SoundNetError(f'{options[0]} after --: options of Apache Beam need a runner. Pass --runner')


BEAM_RUNNERS = {'DirectRunner': 'apache_beam.runners.portability.fn_api_runner.FnApiRunner'}
"""The short name would download and run Prism, a separate program, where it is available."""


def beam_options(runner: str, more: Sequence[str]) -> Any:
    """The PipelineOptions of an Apache Beam runner; `more` is passed to it unchanged.

    Raises SoundNetError for options that the runner does not know.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    try:
        parsed = PipelineOptions([f'--runner={BEAM_RUNNERS.get(runner, runner)}', *more])
        parsed.get_all_options()  # values are parsed only here
        return parsed
    except SystemExit:
        raise SoundNetError(f'{" ".join(more)}: not options of {runner}. Check what follows --') from None


def run_beam(runner: str, options: Sequence[str], build: Callable[[Any], object]) -> Any:
    """Run the Apache Beam pipeline that `build` fills, to its end; returns its result.

    Raises SoundNetError, with what is missing, where there is no such runner, or it cannot be started.
    """
    import apache_beam

    with _starting(runner):
        pipeline = apache_beam.Pipeline(options=beam_options(runner, options))
    build(pipeline)
    # Runners in this process do all the work in this call: what it raises is of the work.
    in_process = 'Direct' in runner or runner == 'FnApiRunner'
    with contextlib.nullcontext() if in_process else _starting(runner):
        result = pipeline.run()
    result.wait_until_finish()
    return result


@contextlib.contextmanager
def _starting(runner: str) -> Iterator[None]:
    """Turn any error into SoundNetError; Beam's warnings, such as of downloads, would hide it."""
    try:
        with without_warnings():
            yield
    except SoundNetError:
        raise
    except Exception as error:
        reason = ' '.join(str(error).split())
        raise SoundNetError(
            f'{runner}: cannot be started ({type(error).__name__}: {reason[:300]}). '
            "Install or pass what is missing (the runner's options follow --), or use --runner=DirectRunner"
        ) from error


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Log errors alone, as Beam warns of packages that its import did not find and nobody asked for."""
    import logging

    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
