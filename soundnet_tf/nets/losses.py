"""How far the student is from its teachers, per example.

Every function takes a teacher's probabilities, `[batch, pairs, classes]`, and the logits of the student's head,
`[batch, pairs, classes]`: frames and time steps matched by `pairs`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

Loss = Callable[[Any, Any], Any]

TORCH_SCALE = 250.0
"""The authors' weight of the mean over all time steps of both heads (main_train.lua)."""


def pairs(frames: int, steps: int, frame_times: Sequence[float] = (), step_times: Sequence[float] = ()) -> list[int]:
    """The index of the frame for each time step, as far as there are frames.

    Without times by index, as the authors do: at 20 s the 8-layer net's four steps are up to 3.8 s
    from their frames. With times, in seconds, each step gets the nearest frame.
    """
    if not step_times:
        return list(range(min(frames, steps)))
    return [min(range(frames), key=lambda frame: abs(frame_times[frame] - time)) for time in step_times]


def kl(teacher: Any, logits: Any) -> Any:
    """KL(teacher || student) in nats, summed over classes, averaged over the pairs: `[batch]` (paper, eq. 2)."""
    # 0 log 0 is 0; the smallest positive float32 keeps the logarithm finite.
    teacher_log: Any = ops.log(ops.maximum(teacher, 1e-37))
    return ops.mean(ops.sum(teacher * (teacher_log - ops.log_softmax(logits)), axis=-1), axis=-1)


def l2(teacher: Any, logits: Any) -> Any:
    """Squared distance of the probabilities, summed over classes, averaged over the pairs: `[batch]`."""
    return ops.mean(ops.sum(ops.square(teacher - ops.softmax(logits)), axis=-1), axis=-1)


LOSSES: dict[str, Loss] = {'kl': kl, 'l2': l2}


def softened(loss: Loss, temperature: float) -> Loss:
    """The loss between distributions whose logits are divided by a temperature, times its square.

    The square keeps the gradient's size (Hinton, Vinyals, Dean, 2015, section 2).
    """

    def of(teacher: Any, logits: Any) -> Any:
        teacher_log: Any = ops.log(ops.maximum(teacher, 1e-37))
        teacher = ops.softmax(teacher_log / temperature)
        return temperature**2 * loss(teacher, logits / temperature)

    return loss if temperature == 1 else of


def scales(reduction: str, steps: dict[str, int], classes: dict[str, int]) -> dict[str, float]:
    """The factor of each head's loss in the sum, by the reduction's name.

    `per_example` is the mean over heads. `torch` is the authors': the mean over classes too and over
    the time steps of all heads, times 250, so that a class of a small head weighs more.
    """
    if reduction == 'torch':
        return {head: TORCH_SCALE * steps[head] / sum(steps.values()) / classes[head] for head in steps}
    return {head: 1 / len(steps) for head in steps}


def agreement(teacher: Any, logits: Any, top: int = 1) -> Any:
    """The share of pairs in which the teacher's first class is among the student's `top` first: `[batch]`."""
    first: Any = ops.argmax(teacher, axis=-1)
    score: Any = ops.take_along_axis(logits, first[..., None], axis=-1)
    rank: Any = ops.sum(ops.cast(logits > score, 'int32'), axis=-1)
    return ops.mean(ops.cast(rank < top, 'float32'), axis=-1)
