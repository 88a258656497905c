"""Tags of a WAV file by MediaPipe, in windows without a rest.   tag_mediapipe.py model.tflite rain.wav"""

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
with wave.open(sound) as file:  # 16 bit, of any rate
    rate = file.getframerate()
    samples = np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32768)
    samples, window = samples[:: file.getnchannels()], SECONDS * rate
samples = np.resize(samples, max(window, len(samples)))  # a shorter clip is repeated
files = zipfile.ZipFile(model)
sure = 'confidence_threshold.json'
thresholds = json.loads(files.read(sure)) if sure in files.namelist() else {}
options = audio.AudioClassifierOptions(base_options=BaseOptions(model_asset_path=model), max_results=3)
with audio.AudioClassifier.create_from_options(options) as classifier:
    for index in range((len(samples) + window // 2) // window):
        start = min(index * window, len(samples) - window)
        part = components.containers.AudioData.create_from_array(samples[start : start + window], rate)
        for head in classifier.classify(part)[0].classifications:
            unsure = ', not sure' if head.categories[0].score < thresholds.get(head.head_name, 0) else ''
            for tag in head.categories:
                print(f'{start / rate:.2f} s, {head.head_name}{unsure}: {tag.category_name} {tag.score:.1%}')
