"""The training of the paper (section 4) with the loss of the authors' code (main_train.lua)."""

from soundnet_tf.config import Experiment, Training

TORCH = Training(reduction='torch')

EXPERIMENTS = (
    Experiment('default', 'KL, averaged per example: the default of soundnet-train'),
    Experiment('paper', "the paper's 8-layer net with the authors' reduction", training=TORCH),
    Experiment('paper5', "the paper's 5-layer net with the authors' reduction", 'soundnet5', training=TORCH),
)
