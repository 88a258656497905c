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
        if (file.getnchannels(), file.getframerate(), file.getsampwidth()) != (1, 22_050, 2) or not file.getnframes():
            raise wave.Error('another format, or empty')
        waveform = np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32768)
except (OSError, EOFError, wave.Error) as error:
    why = str(error) or 'empty'
    sys.exit(f'{sound}: {why}. Pass a WAV file, mono, 22,050 Hz, 16 bit: ffmpeg -i IN -ac 1 -ar 22050 OUT.wav')
try:
    runner = Interpreter(model).get_signature_runner('tags')
except ValueError as error:
    sys.exit(f'{model}: {error}. Pass what soundnet-export --format=tflite --output=tags wrote')
_, samples = runner.get_input_details()['waveform']['shape']  # of a window
if all(np.std(waveform[at : at + 22_050]) < 10 ** (-70 / 20) for at in range(0, len(waveform), 22_050)):
    sys.exit(f'{sound}: silence')  # of which the net would say something
waveform = np.resize(waveform, max(samples, len(waveform)))  # a shorter clip is repeated
count = (len(waveform) + samples // 2) // samples  # a last half or more ends with the clip, less is left
windows = [
    waveform[start : start + samples] for start in np.minimum(np.arange(count) * samples, len(waveform) - samples)
]
files = zipfile.ZipFile(model)
name = 'confidence_threshold.json'
thresholds = json.loads(files.read(name)) if name in files.namelist() else {}
answers = [runner(waveform=window[None]) for window in windows]
for output in answers[0]:
    head, mean = output.removesuffix('_clip'), np.mean([answer[output][0] for answer in answers], axis=0)
    names = files.read(f'{head}.txt').decode().splitlines()
    unsure = ', not sure' if mean.max() < thresholds.get(head, 0) else ''
    for best in np.argsort(-mean)[:3]:
        print(f'{head}{unsure}: {names[best]} {mean[best]:.1%}')
