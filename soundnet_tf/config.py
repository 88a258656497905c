"""What a training run is, as a value."""

import dataclasses
import math
from typing import Any

from soundnet_tf.errors import SoundNetError


@dataclasses.dataclass(frozen=True)
class Training:
    """The paper's training by default: Adam at 1e-3 with beta1 0.9, batches of 64 clips of 20 s, KL."""

    steps: int = 100_000
    batch: int = 64
    clip_s: float = 20.0
    learning_rate: float = 1e-3
    loss: str = 'kl'
    decoder: str = 'auto'
    distribution: str = 'none'
    seed: int = 0
    save_every: int = 500
    """Steps from checkpoint to checkpoint."""

    def __post_init__(self) -> None:
        for name in ('steps', 'batch', 'clip_s', 'learning_rate', 'save_every'):
            if not 0 < getattr(self, name) < math.inf:
                raise SoundNetError(f'{name} must be more than 0, got {getattr(self, name)}')
        if self.seed < 0:
            raise SoundNetError(f'seed must be at least 0, got {self.seed}')

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
