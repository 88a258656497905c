"""How far the student is from its teachers, per example.

Every function takes what a teacher says, `[batch, frames, classes]` probabilities, and the logits of
the student's head, `[batch, steps, classes]`, and pairs frames with steps by index, as many as both
have, as the authors do. At 20 s the 8-layer net's four steps lie up to 3.8 s from their frames.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

Loss = Callable[[Any, Any], Any]


def pair(teacher: Any, logits: Any) -> tuple[Any, Any]:
    """The frames and the steps that have a partner."""
    pairs = min(teacher.shape[1], logits.shape[1])
    return teacher[:, :pairs], logits[:, :pairs]


def kl(teacher: Any, logits: Any) -> Any:
    """KL(teacher || student) in nats, summed over classes, averaged over the pairs: `[batch]` (paper, eq. 2)."""
    teacher, logits = pair(teacher, logits)
    # 0 log 0 is 0; the least positive float32 keeps the logarithm finite.
    teacher_log: Any = ops.log(ops.maximum(teacher, 1e-37))
    return ops.mean(ops.sum(teacher * (teacher_log - ops.log_softmax(logits)), axis=-1), axis=-1)


def l2(teacher: Any, logits: Any) -> Any:
    """Squared distance of the probabilities, summed over classes, averaged over the pairs: `[batch]`."""
    teacher, logits = pair(teacher, logits)
    return ops.mean(ops.sum(ops.square(teacher - ops.softmax(logits)), axis=-1), axis=-1)


LOSSES: dict[str, Loss] = {'kl': kl, 'l2': l2}


def agreement(teacher: Any, logits: Any) -> Any:
    """The share of pairs in which student and teacher name the same class first: `[batch]`."""
    teacher, logits = pair(teacher, logits)
    same = ops.equal(ops.argmax(teacher, axis=-1), ops.argmax(logits, axis=-1))
    return ops.mean(ops.cast(same, 'float32'), axis=-1)
