"""The runners of Apache Beam, as the binaries name them."""

from collections.abc import Sequence
from typing import Any

from soundnet_tf.errors import SoundNetError

RUNNERS = {'DirectRunner': 'apache_beam.runners.portability.fn_api_runner.FnApiRunner'}
"""By its short name it would fetch and run a program of the web (Prism) where there is one to be had."""


def options(runner: str, more: Sequence[str]) -> Any:
    """The PipelineOptions of a runner; `more` goes to it untouched. Raises SoundNetError where they are not its own."""
    from apache_beam.options.pipeline_options import PipelineOptions

    try:
        parsed = PipelineOptions([f'--runner={RUNNERS.get(runner, runner)}', *more])
        parsed.get_all_options()  # their values are parsed only when they are asked for
        return parsed
    except SystemExit:
        raise SoundNetError(f'the options after -- are not those of {runner}: {" ".join(more)}') from None
