"""TFLite metadata for sound: what MediaPipe's audio tasks read, written with the `flatbuffers` package alone.

The metadata is a flatbuffer of its own inside the model's (`ModelMetadata` of the TFLite Metadata schema, 1.3.0). The
class names are files in a zip that is appended to the model, so that `unzip model.tflite` gives them too, and so are
the heads' confidence thresholds, for which the schema has no place. The numbers of fields below are those of that
schema and of the schema of TFLite models.
"""

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers

from soundnet_tf.audio import SAMPLE_RATE

NAME = 'TFLITE_METADATA'
MODEL_IDENTIFIER, METADATA_IDENTIFIER = b'TFL3', b'M001'
MIN_PARSER = '1.3.0'
THRESHOLDS = 'confidence_threshold.json'
"""The file in a model's zip with the confidence threshold of each head that has one, by name."""
AUDIO_PROPERTIES, TENSOR_AXIS_LABELS = 4, 2
"""Members of the schema's ContentProperties and AssociatedFileType."""


@dataclasses.dataclass(frozen=True)
class Output:
    """An output tensor: its display name, its class names, none for an embedding, and its confidence threshold."""

    name: str
    description: str
    labels: tuple[str, ...] = ()
    threshold: float | None = None


def with_metadata(model: bytes, name: str, description: str, outputs: Mapping[str, Output], samples: int) -> bytes:
    """The TFLite model of one signature with its metadata and label files; `outputs` are by the signature's names.

    Its input is a mono sound at 22,050 Hz; for any length, `samples` is the window length for
    readers that cut a sound into windows.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    parsed: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    # Readers match metadata by the order of the graph's outputs, which differs from the signature's.
    (signature,) = parsed.signatureDefs
    waveform = parsed.subgraphs[0].tensors[signature.inputs[0].tensorIndex]
    if waveform.shapeSignature is not None:
        waveform.shape = [1, samples]
    names = {entry.tensorIndex: entry.name.decode() for entry in signature.outputs}
    ordered = [outputs[names[tensor]] for tensor in parsed.subgraphs[0].outputs]
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(metadata(name, description, ordered))
    entry.name, entry.buffer = NAME, len(parsed.buffers)
    parsed.buffers.append(buffer)
    parsed.metadata = [*(parsed.metadata or []), entry]
    builder = flatbuffers.Builder(len(model) + 65_536)
    builder.Finish(parsed.Pack(builder), MODEL_IDENTIFIER)
    return _with_files(bytes(builder.Output()), ordered)


def metadata(name: str, description: str, outputs: Sequence[Output]) -> bytes:
    """The `ModelMetadata` flatbuffer of a model from a mono sound to these outputs."""
    builder = flatbuffers.Builder(1024)
    sound = _table(builder, {0: builder.PrependUint32Slot, 1: builder.PrependUint32Slot}, {0: SAMPLE_RATE, 1: 1})
    content = _table(
        builder, {0: builder.PrependUint8Slot, 1: builder.PrependUOffsetTRelativeSlot}, {0: AUDIO_PROPERTIES, 1: sound}
    )
    waveform = _offsets(
        builder,
        {
            0: builder.CreateString('waveform'),
            1: builder.CreateString(f'mono samples in [-1, 1] at {SAMPLE_RATE} Hz'),
            3: content,
        },
    )
    tensors = [_output(builder, output) for output in outputs]
    graph = _offsets(builder, {2: _vector(builder, [waveform]), 3: _vector(builder, tensors)})
    model = _offsets(
        builder,
        {
            0: builder.CreateString(name),
            1: builder.CreateString(description),
            3: _vector(builder, [graph]),
            7: builder.CreateString(MIN_PARSER),
        },
    )
    builder.Finish(model, METADATA_IDENTIFIER)
    return bytes(builder.Output())


def _output(builder: Any, output: Output) -> int:
    fields = {0: builder.CreateString(output.name), 1: builder.CreateString(output.description)}
    if output.labels:
        name = builder.CreateString(_file_name(output))
        slots = {0: builder.PrependUOffsetTRelativeSlot, 2: builder.PrependInt8Slot}
        fields[6] = _vector(builder, [_table(builder, slots, {0: name, 2: TENSOR_AXIS_LABELS})])
    return _offsets(builder, fields)


def _offsets(builder: Any, fields: Mapping[int, int]) -> int:
    """A table whose fields are strings, vectors and tables."""
    return _table(builder, dict.fromkeys(fields, builder.PrependUOffsetTRelativeSlot), fields)


def _table(builder: Any, slots: Mapping[int, Any], fields: Mapping[int, int]) -> int:
    builder.StartObject(max(fields) + 1)
    for field, value in fields.items():
        slots[field](field, value, 0)
    return builder.EndObject()


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _file_name(output: Output) -> str:
    return f'{output.name}.txt'


def _with_files(model: bytes, outputs: Sequence[Output]) -> bytes:
    """The model and, behind it, its files as a zip, uncompressed, as readers map them into memory."""
    texts = {_file_name(output): '\n'.join(output.labels) + '\n' for output in outputs if output.labels}
    if thresholds := {output.name: output.threshold for output in outputs if output.threshold is not None}:
        texts[THRESHOLDS] = json.dumps(thresholds)
    if not texts:
        return model
    archive = io.BytesIO(model)
    with zipfile.ZipFile(archive, 'a', zipfile.ZIP_STORED) as file:
        for name, text in texts.items():
            # A fixed date, so that exports are reproducible.
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return archive.getvalue()
