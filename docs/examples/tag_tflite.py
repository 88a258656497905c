"""Tags of a WAV file on a device: ai-edge-litert, numpy and Python alone.   tag_tflite.py model.tflite rain.wav"""

import sys
import wave
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter

model, sound = sys.argv[1:]
with wave.open(sound) as file:
    assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 22_050, 2), 'mono, 22,050 Hz, 16 bit'
    waveform = np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32768)
runner = Interpreter(model).get_signature_runner('tags')
waveform = np.resize(waveform, runner.get_input_details()['waveform']['shape'])  # the length it takes: cut or repeated
labels = zipfile.ZipFile(model)
for output, probabilities in runner(waveform=waveform).items():
    head = output.removesuffix('_clip')
    names = labels.read(f'{head}.txt').decode().splitlines()
    for best in np.argsort(-probabilities[0])[:3]:
        print(f'{head}: {names[best]} {probabilities[0, best]:.1%}')
