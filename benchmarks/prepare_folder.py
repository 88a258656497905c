"""A folder of videos to records, from the start of the command to its end: one core, all cores, and a shell pipeline.

    python benchmarks/prepare_folder.py [VIDEOS TEACHER.tflite...]

By default those of SOUNDNET_DATA. The videos are taken five times, under other names, since TensorFlow takes seconds to
start. The pipeline (`benchmarks/peers/prepare.py`) runs where FFmpeg's program is installed; it is given all cores.
"""

import functools
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(sys.executable).parent
ROUNDS, COPIES = 2, 5


def timed(command, cores):
    began = time.perf_counter()
    bound = functools.partial(os.sched_setaffinity, 0, cores)
    done = subprocess.run(command, preexec_fn=bound, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode in (0, 1)  # 1: some of the videos are damaged
    return time.perf_counter() - began


def main():
    given = sys.argv[1:]
    if not given and (data := os.environ.get('SOUNDNET_DATA')):
        given = [f'{data}/videos', *map(str, sorted(pathlib.Path(data, 'teachers').glob('*.tflite')))]
    if not given:
        print('a folder of videos: not measured. Set SOUNDNET_DATA, or pass VIDEOS TEACHER.tflite...')
        return
    source, *teachers = given
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as folder:
        videos = pathlib.Path(folder, 'videos')
        videos.mkdir()
        for turn in range(COPIES):
            for path in sorted(pathlib.Path(source).iterdir()):
                shutil.copy(path, videos / f'{turn}-{path.name}')
        asked = [f'--teacher=teacher{index}={teacher},scale=-1..1' for index, teacher in enumerate(teachers)]

        def ours(out):
            return [BIN / 'soundnet-prepare', str(videos), f'--out={out}', *asked]

        def pipeline(out):
            return [sys.executable, str(HERE / 'peers' / 'prepare.py'), str(videos), out, *teachers]

        ways = {'one core': (ours, {min(cores)}), f'{len(cores)} cores': (ours, cores)}
        ways |= {'FFmpeg twice, then Python': (pipeline, cores)} if shutil.which('ffmpeg') else {}
        took = {name: list[float]() for name in ways}
        for turn in range(ROUNDS):
            for name, (command, where) in ways.items():
                took[name].append(timed(command(f'{folder}/{turn}-{len(took[name])}-{name[:3]}'), where))
    usual = statistics.median(took[f'{len(cores)} cores'])
    print('| | s | times all cores |\n|---|---|---|')
    for name, times in took.items():
        print(f'| {name} | {statistics.median(times):.1f} | {statistics.median(times) / usual:.2f} |')


if __name__ == '__main__':
    main()
