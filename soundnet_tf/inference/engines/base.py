"""What runs the net of an `Embedder`.

Threads may share an engine. A copy of an engine is the engine itself; a pickle stores how to load it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, Self

from soundnet_tf.audio import Waveform
from soundnet_tf.inference.stream import NetStream, Outputs
from soundnet_tf.spec import NetSpec

Edges = Literal['drop', 'keep']
"""Whether the steps at a clip's end that training never used are dropped: see `geometry.trim_edges`."""


class Engine(Protocol):
    """A net that can be run: waveforms in, the outputs of some of its layers and heads out."""

    @property
    def spec(self) -> NetSpec:
        """The table of the net."""
        ...

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The class names of each head."""
        ...

    @property
    def precision(self) -> str:
        """The number format of multiplications: float32, or bfloat16."""
        ...

    def serves(self, layer: str) -> bool:
        """Whether `run` knows the layer, or the head of that name."""
        ...

    def max_clip_s(self, layers: Sequence[str]) -> float:
        """The length in seconds above which a sound is streamed: the memory of `run` grows with the length."""
        ...

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        """`[samples]`, long enough for all `layers`, to `[time, channels]` of each; a head gives probabilities."""
        ...

    def run_many(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> list[Outputs]:
        """`run` of each, as one batch where that is faster. Memory is that of the longest, so use similar lengths."""
        ...

    def open_stream(self, layers: Sequence[str]) -> NetStream:
        """The net for one sound that arrives piece by piece."""
        ...


class Shared:
    """An engine that copies share, since it never changes; a pickle has `_made_by`, the call that creates it.

    It serves all layers and heads, unless it says otherwise.
    """

    spec: NetSpec
    _made_by: tuple[Callable[..., Any], tuple[Any, ...]]

    def serves(self, layer: str) -> bool:
        return layer in (*self.spec.layer_names, *self.spec.head_names)

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        return self.run_many([waveform], layers)[0]

    def run_many(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> list[Outputs]:
        raise NotImplementedError

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._made_by
