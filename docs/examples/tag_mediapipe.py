"""Tags of a WAV file by MediaPipe (pip install mediapipe==0.10.21).   tag_mediapipe.py model.tflite rain.wav"""

import json
import sys
import wave
import zipfile

import numpy as np
from mediapipe.tasks.python import BaseOptions, audio, components

if len(sys.argv) != 3:
    sys.exit(__doc__)
model, sound = sys.argv[1:]
SECONDS = 5  # --length_s of the file
try:
    with wave.open(sound) as file:
        if file.getsampwidth() != 2 or not file.getnframes():
            raise wave.Error('not of 16 bit, or empty')
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32768)
        samples, window = samples[:: file.getnchannels()], SECONDS * rate
except (OSError, EOFError, wave.Error) as error:
    sys.exit(f'{sound}: {str(error) or "empty"}. Pass a WAV file of 16 bit: ffmpeg -i IN -c:a pcm_s16le OUT.wav')
if all(np.std(samples[at : at + rate]) < 10 ** (-70 / 20) for at in range(0, len(samples), rate)):
    sys.exit(f'{sound}: silence')  # of which the net would say something
samples = np.resize(samples, max(window, len(samples)))  # a shorter clip is repeated
count = (len(samples) + window // 2) // window  # a last half or more ends with the clip, less is left
windows = [samples[start : start + window] for start in np.minimum(np.arange(count) * window, len(samples) - window)]
files = zipfile.ZipFile(model)
name = 'confidence_threshold.json'
thresholds = json.loads(files.read(name)) if name in files.namelist() else {}
options = audio.AudioClassifierOptions(base_options=BaseOptions(model_asset_path=model))
with audio.AudioClassifier.create_from_options(options) as classifier:
    clips = [components.containers.AudioData.create_from_array(window, rate) for window in windows]
    answers = [classifier.classify(clip)[0].classifications for clip in clips]
for heads in zip(*answers, strict=True):
    head, sums = heads[0].head_name, dict.fromkeys((tag.category_name for tag in heads[0].categories), 0.0)
    for tag in (tag for one in heads for tag in one.categories):
        sums[tag.category_name] += tag.score / len(heads)
    best = sorted(sums.items(), key=lambda item: -item[1])[:3]
    unsure = ', not sure' if best[0][1] < thresholds.get(head, 0) else ''
    for name, score in best:
        print(f'{head}{unsure}: {name} {score:.1%}')
