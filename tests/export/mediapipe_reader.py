"""What MediaPipe makes of exported TFLite files, as JSON; run in an environment that has it.

python mediapipe_reader.py TAGS.tflite EMBEDDING.tflite SOUND.npy RATE
"""

import json
import sys

import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import audio
from mediapipe.tasks.python.components import containers

tags, embedding, sound, rate = sys.argv[1:]
clip = containers.AudioData.create_from_array(np.load(sound), int(rate))
classifying = audio.AudioClassifierOptions(base_options=tasks.BaseOptions(model_asset_path=tags))
embedding_ = audio.AudioEmbedderOptions(base_options=tasks.BaseOptions(model_asset_path=embedding))
with audio.AudioClassifier.create_from_options(classifying) as classifier:
    windows = [
        {
            head.head_name: {category.category_name: category.score for category in head.categories}
            for head in result.classifications
        }
        for result in classifier.classify(clip)
    ]
with audio.AudioEmbedder.create_from_options(embedding_) as embedder:
    vectors = [
        {head.head_name: np.asarray(head.embedding).tolist() for head in result.embeddings}
        for result in embedder.embed(clip)
    ]
print(json.dumps([windows, vectors]))
