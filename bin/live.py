"""Serve a page that tags the microphone or a file in the browser, while it sounds.

    soundnet-live
    soundnet-live --model=soundnet8-esc10
    soundnet-live --model=runs/mine/net --out=page --noserve      # only write the page

Then open the address that it prints, and press Listen. The page runs the net itself: no sound leaves the browser, and
nothing is fetched but the page. It is written at the first use of a net, which takes up to a minute, to a folder in
$SOUNDNET_HOME, or to --out. That folder works on any server of static files; browsers give a page the microphone on
https and on this machine only.

An answer is about the last 5 s, or 11 s for the original net, and comes twice a second. Nets with a confidence
threshold say "not sure" below it.
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

MODEL = cli.model_flag()
OUT = flags.DEFINE_string('out', None, 'The folder of the page (default: one in $SOUNDNET_HOME/live).')
PORT = flags.DEFINE_integer(
    'port', 8022, 'The port on 127.0.0.1; 0 for any free one.', lower_bound=0, upper_bound=65535
)
SERVE = flags.DEFINE_bool('serve', True, 'Serve the page; --noserve only writes it.')


def main(arguments: Sequence[str]) -> int:
    """Write the page where it is missing, and serve it."""
    from soundnet_tf.export import live
    from soundnet_tf.inference import files
    from soundnet_tf.web import local

    cli.no_arguments(arguments, 'Pass the net as --model; sounds are opened in the page')
    out = OUT.value or live.place(MODEL.value)
    if not live.is_current(MODEL.value, out):
        files.echo(f'{out}: writing the page')
        for line in live.write(MODEL.value, out):
            files.echo(f'{out}: {line}')
    if SERVE.value:
        local.serve(out, PORT.value, lambda address: print(f'{address} (Ctrl-C stops it)', flush=True))
    else:
        print(f'the page is {out}/index.html; a server of static files shows it')
    return 0


def run() -> None:
    """The command `soundnet-live`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
