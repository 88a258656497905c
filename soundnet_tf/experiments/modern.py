"""Common practice today; `benchmarks/README.md` has the cost of each setting."""

from soundnet_tf.config import Experiment, Training

EXPERIMENTS = (
    Experiment(
        'modern',
        'warm-up and cosine, gradient clipping, EMA weights, gain, frames paired by time, best net kept',
        training=Training(
            pairing='time',
            schedule='cosine',
            warmup_steps=1000,
            clip_norm=1.0,
            ema=0.999,
            gain_db=6.0,
            crop=True,
            validate_every=1000,
            held_out=1,
        ),
    ),
)
