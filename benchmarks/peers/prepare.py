"""What a user would write to prepare a folder of videos: FFmpeg twice for each, then Python for the teachers.

python benchmarks/peers/prepare.py VIDEOS OUT TEACHER.tflite...

The whole sound as an MP3 of 64 kbit/s at 22,050 Hz, a frame every five seconds, and each teacher's outputs in an npy.
"""

import pathlib
import subprocess
import sys

import av
import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main():
    videos, out, *teachers = sys.argv[1:]
    pathlib.Path(out).mkdir(parents=True)
    for video in sorted(pathlib.Path(videos).iterdir()):
        there = f'{out}/{video.stem}'
        ffmpeg = ['ffmpeg', '-v', 'quiet', '-i', str(video)]
        subprocess.run([*ffmpeg, '-vn', '-ac', '1', '-ar', '22050', '-b:a', '64k', f'{there}.mp3'], check=False)
        subprocess.run([*ffmpeg, '-vf', 'fps=1/5,scale=256:256', f'{there}-%03d.png'], check=False)
    for teacher in teachers:
        net = Interpreter(teacher, num_threads=2)
        net.allocate_tensors()
        (taken,), (given,) = net.get_input_details(), net.get_output_details()
        _, height, width, _ = taken['shape']
        for picture in sorted(pathlib.Path(out).glob('*.png')):
            with av.open(str(picture)) as container:
                frame = next(container.decode(video=0)).reformat(width, height, 'rgb24').to_ndarray()
            scaled = frame if taken['dtype'] == np.uint8 else frame / np.float32(127.5) - 1
            net.set_tensor(taken['index'], scaled[None].astype(taken['dtype']))
            net.invoke()
            np.save(picture.with_suffix(f'.{pathlib.Path(teacher).stem}.npy'), net.get_tensor(given['index']))


if __name__ == '__main__':
    main()
