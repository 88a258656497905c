"""Tags of a WAV file on a device: ai-edge-litert, numpy and Python alone.   tag_tflite.py model.tflite rain.wav"""

import json
import sys
import wave
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter

if len(sys.argv) != 3:
    sys.exit(__doc__)
model, sound = sys.argv[1:]
try:
    with wave.open(sound) as file:
        if (file.getnchannels(), file.getframerate(), file.getsampwidth()) != (1, 22_050, 2):
            raise wave.Error('another format')
        waveform = np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32768)
except (OSError, EOFError, wave.Error) as error:
    sys.exit(
        f'{sound}: {error or "empty"}. Pass a WAV file, mono, 22,050 Hz, 16 bit: ffmpeg -i IN -ac 1 -ar 22050 OUT.wav'
    )
runner = Interpreter(model).get_signature_runner('tags')
_, samples = runner.get_input_details()['waveform']['shape']  # of a window
waveform = np.resize(waveform, max(samples, len(waveform)))  # a shorter clip is repeated
files = zipfile.ZipFile(model)
sure = 'confidence_threshold.json'
thresholds = json.loads(files.read(sure)) if sure in files.namelist() else {}
for index in range((len(waveform) + samples // 2) // samples):  # a last half or more ends with the clip, less is left
    start = min(index * samples, len(waveform) - samples)
    for output, (probabilities,) in runner(waveform=waveform[None, start : start + samples]).items():
        head = output.removesuffix('_clip')
        names = files.read(f'{head}.txt').decode().splitlines()
        unsure = ', not sure' if probabilities.max() < thresholds.get(head, 0) else ''
        for best in np.argsort(-probabilities)[:3]:
            print(f'{start / 22_050:.2f} s, {head}{unsure}: {names[best]} {probabilities[best]:.1%}')
