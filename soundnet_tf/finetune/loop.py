"""The training loop on labels, which resumes from the last checkpoint."""

import contextlib
import itertools
import pathlib
import statistics
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import tqdm

from soundnet_tf import progress
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.scores import Scores
from soundnet_tf.evaluation.splits import Split
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.finetune import journal, student
from soundnet_tf.finetune.augment import Crops
from soundnet_tf.finetune.refitting import moved, noises
from soundnet_tf.finetune.step import State, make_step
from soundnet_tf.finetune.student import Scorer
from soundnet_tf.finetune.waveforms import Sounds
from soundnet_tf.nets import model, saved
from soundnet_tf.training.checkpoints import Checkpoints

CHECKPOINT_EVERY_S = 30.0
"""Min time between checkpoints, which are written at the end of epochs: short epochs take less time than one."""

BEST, CHECKPOINTS = 'best', 'checkpoints'
"""In the run folder during the run: the saved net of the best epoch so far, and the checkpoints."""


class Run:
    """Trains a state on the training clips of a split; `choosing` keeps the best epoch by its validation clips."""

    def __init__(
        self,
        dataset: DataSet,
        recipe: Recipe,
        out: pathlib.Path,
        sounds: Sounds,
        split: Split,
        state: State,
        seed: int,
        *,
        choosing: bool = False,
    ):
        self._dataset, self._recipe, self._out, self._sounds = dataset, recipe, out, sounds
        self._split, self._state, self._choosing, self._seed = split, state, choosing, seed
        self._targets = np.array(dataset.targets)
        self._crops = Crops(recipe, sounds, split.train, self._targets, len(dataset.classes), seed)
        self._step = make_step(state, recipe, self._crops, seed)
        self._scorer = Scorer(state.net)
        self._checkpoints = Checkpoints(state.checkpoint(), out / CHECKPOINTS)
        if self._checkpoints.restore() is not None:
            print(f'{out}: resuming from step {state.done} of {recipe.epochs * self._crops.steps}')
        self._rows = journal.read_history(out, self._epochs_done)
        self._saved_at_s = time.monotonic()

    @property
    def clips_per_s(self) -> float:
        """Training crops per second, the median over the epochs."""
        measured = [row['clips_per_s'] for row in self._rows if row['clips_per_s'] is not None]
        return round(statistics.median(measured), 1) if measured else 0.0

    @property
    def _epochs_done(self) -> int:
        return self._state.done // self._crops.steps

    def train(self) -> int:
        """Train for the remaining epochs; returns the epoch whose weights are kept."""
        steps, state = self._crops.steps, self._state
        bar = progress.bar(total=self._recipe.epochs * steps, initial=state.done, unit='step', keep=True)
        with bar, self._saved_when_stopped():
            # A run may have been stopped between an epoch's last step and its row in the history.
            if len(self._rows) < self._epochs_done and state.done % steps == 0:
                self._close(None)
            while self._epochs_done < self._recipe.epochs:
                began, clips = time.perf_counter(), self._epoch(bar)
                bar.set_postfix(self._close(clips / (time.perf_counter() - began)), refresh=False)
        if not self._choosing:
            return self._recipe.epochs
        saved.load_weights(state.net, self._out / BEST)
        return int(self._best['epoch'] or 0)

    def _epoch(self, bar: tqdm.tqdm) -> int:
        """Train for the rest of an epoch; returns the number of clips."""
        epoch, first = divmod(self._state.done, self._crops.steps)
        if not first:
            self._state.sums.assign(tf.zeros(3))
        clips = 0
        for index, batch in enumerate(self._crops.epoch(epoch, first), first):
            self._step(batch, self._recipe.rate(epoch + (index + 0.5) / self._crops.steps))
            clips += len(batch.targets)
            bar.update()
        self._state.sums.numpy()  # waits for a GPU
        return clips

    def _close(self, clips_per_s: float | None) -> dict[str, str]:
        """End an epoch: evaluate, write the history, save. Returns what the progress bar shows."""
        recipe, epoch = self._recipe, self._epochs_done
        loss, correct, clips = map(float, self._state.sums.numpy())
        if not np.isfinite(loss):
            raise SoundNetError(
                f'epoch {epoch}: the loss is NaN or infinite. Start again with another --out and a learning_rate below '
                f'{recipe.learning_rate:g}'
            )
        due = epoch % recipe.evaluate_every == 0 or epoch == recipe.epochs
        found = {name: scores.accuracy for name, scores in self.evaluate().items()} if due else {}
        row: journal.EpochMetrics = {
            'epoch': epoch,
            'learning_rate': recipe.rate(epoch),
            'loss': loss / clips,
            'train_accuracy': correct / clips,
            **{f'{name}_accuracy': found.get(name) for name in self._split.held_out},
            'clips_per_s': clips_per_s,
        }
        self._rows.append(row)
        better = self._choosing and due and self._best is row
        if better:
            # Before the row is written: a run that is stopped in between repeats the end of the epoch.
            saved.save_net(self._state.net, self._out / BEST)
        journal.write_history(self._out, self._rows)
        if better or epoch == recipe.epochs or time.monotonic() - self._saved_at_s > CHECKPOINT_EVERY_S:
            self._save()
        return {key: f'{value:.3g}' for key, value in row.items() if value is not None}

    @property
    def _best(self) -> journal.EpochMetrics:
        """The first epoch with the best validation accuracy."""
        rows = [row for row in self._rows if row['validation_accuracy'] is not None]
        return max(rows, key=lambda row: row['validation_accuracy'] or 0)

    def densify(self) -> model.SoundNet:
        """The trained net with as many time steps as the recipe says; what follows is done on it."""
        net = student.densified(self._state.net, self._recipe.dense)
        self._scorer = Scorer(net)
        return net

    def refit(self) -> None:
        """Refit the head on the training clips as they are at test time, if the recipe says so, and on copies."""
        recipe, sounds, rng = self._recipe, self._sounds, np.random.default_rng(self._seed)
        if not recipe.refit:
            return
        clips = list(self._split.train)
        spans = [sounds.span(clip, recipe.trim_db) for clip in clips]
        copies = (
            [moved(sounds[clip], span, recipe.stretch, rng) for clip, span in zip(clips, spans, strict=True)]
            for _ in range(recipe.copies)
        )
        passes = itertools.chain([[sounds[clip] for clip in clips]], copies)
        of_none = noises(recipe.noises, self._crops.samples, self._seed)
        self._scorer.refit(passes, self._targets[clips], recipe.refit, of_none)

    def evaluate(self) -> dict[str, Scores]:
        """The current scores of the held-out clips, by `validation` and `test`."""
        found = {}
        for name, clips in self._split.held_out.items():
            scores = self._scorer.scores(self._sounds, clips)
            found[name] = Scores(self._dataset.classes, self._targets[list(clips)], scores)
        return found

    @contextlib.contextmanager
    def _saved_when_stopped(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            if np.isfinite(self._state.sums.numpy()).all():
                self._save()
            done, epochs = self._state.done / self._crops.steps, self._recipe.epochs
            raise KeyboardInterrupt(f'{done:.1f} of {epochs} epochs done. Run the same command to resume') from None

    def _save(self) -> None:
        if self._state.done:
            self._checkpoints.save(self._state.done)
        self._saved_at_s = time.monotonic()
