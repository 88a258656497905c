"""A net as a TF-Hub module: a SavedModel that is called, and fine-tuned, without this package.

    module = hub.load(folder)                      # or tf.saved_model.load
    module(waveform)['embedding']                  # [samples] or [batch, samples], 22,050 Hz, in [-1, 1]
    module(waveforms, training=True)               # batch norm by the batch, moving statistics move
    module.label_path('places')                    # the file of a head's class names

Inference folds batch norm within the graph from the live variables, so it is right after fine-tuning and as fast as
`fast.inference_form`. For a clip too short for a layer that layer has no time steps; all else is computed.

The root is a checkpoint with functions, since the alternatives fail: a loaded `tf.Module` has no `variables`, and the
object of Keras' own export cannot be called.
"""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from soundnet_tf import geometry, storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.export import exporter, truth
from soundnet_tf.export.folded import save_module
from soundnet_tf.export.verify import CLOSE, Plan
from soundnet_tf.nets import fast, model, saved
from soundnet_tf.nets.fast import Stage
from soundnet_tf.spec import GAIN, Conv, NetSpec, Row

Tensors = dict[str, Any]


def plan(net: model.SoundNet) -> Plan:
    """The export of a net as a TF-Hub module: its folder is the SavedModel."""
    return Plan('hub', truth.every_output(net.spec), lambda folder: write(net, folder), CLOSE)


def write(net: model.SoundNet, folder: str | os.PathLike[str]) -> None:
    """Write the module as a SavedModel into `folder`; the class names of the heads become its assets."""
    with tempfile.TemporaryDirectory() as home:
        for head, classes in net.labels.items():
            (pathlib.Path(home) / f'{head}.txt').write_text('\n'.join(classes) + '\n', encoding='utf-8')
        root, signatures = module_of(net, pathlib.Path(home))
        save_module(root, folder, signatures)


def add_module(folder: str | os.PathLike[str]) -> None:
    """Add the module to a saved net, so that `hub.load` opens its folder, too; model.json has the files' hashes.

    The weights are then there twice: TensorFlow loads a SavedModel's variables from its own checkpoint only, with the
    dtype that they are trained in. Raises ExportRefused if the module differs from the net.
    """
    with storage.whole_folder(folder) as draft, tempfile.TemporaryDirectory() as home:
        net = saved.load_net(folder)
        exported = pathlib.Path(home) / 'hub'
        found = exporter.carry_out(net, plan(net), exported)
        shutil.copytree(folder, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns('.*'))
        shutil.copytree(exported, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns('model.json'))
        own, facts = saved.read_facts(exported), saved.read_facts(folder)
        files = {name: {'sha256': about['sha256']} for name, about in own['files'].items()}
        facts |= {'files': facts['files'] | files, 'module': {'difference': found.measured.difference}}
        storage.write_json(draft / 'model.json', facts)


def module_of(net: model.SoundNet, labels: pathlib.Path) -> tuple[Any, dict[str, Any]]:
    """The module with its own variables, and its signatures; `labels` is a folder of `<head>.txt`."""
    spec = net.spec
    truth.every_output(spec)
    net = _with_logits(net)
    last = dict.fromkeys((spec.feature_layer, spec.layer_names[-1], *spec.head_names))
    quick, trained = fast.stages(net, last), _plain(net, training=True)
    every = _plain(net, training=False)

    def call(waveform: Any, training: bool = False) -> Tensors:
        return _each(waveform, lambda batch: _results(spec, _run(trained if training else quick, batch)))

    def embed(waveform: Any) -> Tensors:
        outputs = _run(fast.stages(net, [spec.feature_layer]), waveform)
        return _embedding(spec, outputs) | {spec.feature_layer: outputs[spec.feature_layer]}

    def layers(waveform: Any) -> Tensors:
        outputs = _run(every, waveform)
        heads = {head: tf.nn.softmax(outputs[head]) for head in spec.head_names}
        logits = {model.logits_name(head): outputs[head] for head in spec.head_names}
        return {name: outputs[name] for name in spec.layer_names} | heads | logits

    def label_path(head: str) -> Any:
        return root.assets[head].asset_path

    one, many = tf.TensorSpec([None], tf.float32, 'waveform'), tf.TensorSpec([None, None], tf.float32, 'waveform')
    root: Any = tf.train.Checkpoint()
    root.variables = [variable.value for variable in net.variables]
    root.trainable_variables = [variable.value for variable in net.trainable_variables]
    root.regularization_losses = []
    root.assets = {head: tf.saved_model.Asset(os.fspath(labels / f'{head}.txt')) for head in spec.head_names}
    root.__call__ = tf.function(call)
    for waveform in (one, many):
        for training in (False, True):
            root.__call__.get_concrete_function(waveform, training)
    # With a fixed `training` each, as Keras' TFSMLayer needs.
    root.infer = tf.function(lambda waveform: call(waveform, False), input_signature=[many])
    root.train = tf.function(lambda waveform: call(waveform, True), input_signature=[many])
    root.embed = tf.function(embed, input_signature=[many])
    root.layers = tf.function(layers, input_signature=[many])
    root.label_path = tf.function(label_path)
    for head in spec.head_names:
        root.label_path.get_concrete_function(head)
    return root, {'serving_default': root.infer, 'embed': root.embed, 'layers': root.layers}


def _with_logits(net: model.SoundNet) -> model.SoundNet:
    """A copy whose heads output logits."""
    copy = model.build(net.spec, labels=net.labels, classifier_activation=None)
    for row in net.spec.layers:
        if isinstance(row, Conv):
            # Synchronisation between replicas must not be traced: there are none here.
            copy.get_layer(f'{row.name}_bn').synchronized = False
    for mine, theirs in zip(copy.variables, net.variables, strict=True):
        mine.assign(theirs)
    return copy


def _plain(net: model.SoundNet, training: bool) -> list[Stage]:
    """Each row by itself, through the layers of the Keras net; heads output logits."""

    def runner(row: Row, gain: float) -> Callable[[Any], Any]:
        if isinstance(row, Conv):
            convolution, norm = net.get_layer(f'{row.name}_conv'), net.get_layer(f'{row.name}_bn')
            return lambda x: tf.nn.relu(norm(convolution(x * gain), training=training))
        layer = net.get_layer(row.name if row in net.spec.layers else model.logits_name(row.name))
        return lambda x: layer(x * gain if gain != 1 else x)

    stages, source = [], None
    for row in net.spec.rows:
        run = runner(row, 1.0 if stages else GAIN)
        stages.append(Stage(row.name, source, row.extent, row.stride, row.paddings, run))
        source = row.name if row in net.spec.layers else source
    return stages


def _run(stages: Iterable[Stage], waveform: Any) -> dict[str | None, Any]:
    """`[batch, samples]` of any length to the stages' `[batch, time, channels]`, as `geometry.frames` counts them.

    Input shorter than a kernel is padded to it, and the resulting step is cut off.
    """
    outputs: dict[str | None, Any] = {None: waveform[..., None]}
    for stage in stages:
        x = outputs[stage.source]
        steps = tf.shape(x)[1]
        missing: Any = tf.maximum(0, stage.kernel - sum(stage.paddings) - steps)
        before, behind = stage.paddings
        x = tf.pad(x, [[0, 0], [before, behind + missing], [0, 0]])
        frames = tf.where(steps > 0, tf.maximum(0, stage.frames(steps)), 0)
        outputs[stage.name] = stage.run(x)[:, :frames]
    return outputs


def _each(waveform: Any, run: Callable[[Any], Tensors]) -> Tensors:
    """`run` takes a batch; a single clip is passed as a batch of one, and that axis is removed from the outputs."""
    if waveform.shape.rank == 2:
        return run(waveform)
    outputs = run(waveform[None])
    return {name: values if _is_shared(name) else values[0] for name, values in outputs.items()}


def _is_shared(name: str) -> bool:
    """Whether the output is the same for all clips of a batch, which have one length."""
    return name == 'times' or name.endswith('_frames')


def _results(spec: NetSpec, outputs: dict[str | None, Any]) -> Tensors:
    results = _embedding(spec, outputs)
    results |= {name: outputs[name] for name in (spec.feature_layer, spec.layer_names[-1])}
    for head in spec.heads:
        logits = outputs[head.name]
        results[head.name] = tf.nn.softmax(logits)
        results[model.logits_name(head.name)] = logits
        results[f'{head.name}_frames'] = frames = tf.shape(logits)[1]
        # Both are zeros if there is no step.
        results[f'{head.name}_clip'] = (
            tf.nn.softmax(_mean(logits)) * tf.cast(frames > 0, logits.dtype)
            if head.clip_mean == 'logits'
            else _mean(results[head.name])
        )
    return results


def _embedding(spec: NetSpec, outputs: dict[str | None, Any]) -> Tensors:
    values = outputs[spec.feature_layer]
    (first,), hop = geometry.frame_times(spec, spec.feature_layer, 1), geometry.hop(spec, spec.feature_layer)
    times = first + tf.range(tf.shape(values)[1], dtype=tf.float32) * (hop / SAMPLE_RATE)
    return {'embedding': _mean(values), 'times': times}


def _mean(values: Any) -> Any:
    """Over time; zeros if there is no step, never NaN."""
    return tf.math.divide_no_nan(tf.reduce_sum(values, 1), tf.cast(tf.shape(values)[1], values.dtype))
