"""Learning from a rollout: minibatches in parts that fit into memory, and their metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from methods.core.models import distributed
from methods.core.models.batch import by_length
from methods.core.online.rollout import Rollout
from methods.core.online.settings import OnlineSettings
from methods.core.online.surrogates import Average
from methods.core.training.memory import is_out_of_memory
from methods.core.training.optimization import Optimization

if TYPE_CHECKING:
    from torch import Tensor

# Rows of a rollout, group by group.
Groups = list[list[int]]


class Learning:
    """The minibatches of a run: one optimizer step for each, however many parts it takes.

    A method computes the loss of each part in its own code. If a part does not fit into memory, the
    method gets placeholders for what it asks for, unaware, and the minibatch starts anew.

    The models' graphs are kept here, and the method gets leaves. Its variables would otherwise keep
    the activations of a part that failed while smaller parts are computed.

    Attributes:
        optimization: The optimizer.
        weight: How much the current part counts.
        fits: Whether the current part has fitted into memory so far.
    """

    def __init__(self, optimization: Optimization, settings: OnlineSettings) -> None:
        self.optimization, self._settings = optimization, settings
        self.weight, self.fits = 1.0, True
        self._recorded: list[tuple[float, dict[str, Tensor]]] = []
        # What the models computed for the current part, and the leaf that the method got instead.
        self._computed: list[tuple[Tensor, Tensor]] = []

    def minibatches(
        self, rollout: Rollout, over: Average, group: int, seed: int
    ) -> Iterator[Rollout]:
        """Yield the parts of the minibatches of all epochs; see `OnlineRun.minibatches`."""
        import torch

        order = torch.Generator().manual_seed(seed)
        groups = torch.arange(len(rollout.batch.lengths)).view(-1, group)
        world_size, count = distributed.world_size(), min(self._settings.minibatches, len(groups))
        self.optimization.train_mode(True)
        for _ in range(self._settings.epochs):
            shuffled = torch.randperm(len(groups), generator=order)
            for chosen in shuffled.tensor_split(count):
                local = chosen[distributed.rank() :: world_size]
                # A process without rows joins in with a weight of 0: all average their gradients.
                rows = groups[local if len(local) else chosen[:1]]
                weight = world_size if len(local) else 0.0
                yield from self._minibatch(
                    rollout, groups[chosen].tolist(), rows.tolist(), over, weight
                )
                self.optimization.step()
        self.optimization.train_mode(False)

    def _minibatch(
        self, rollout: Rollout, whole: Groups, local: Groups, over: Average, weight: float
    ) -> Iterator[Rollout]:
        """Yield the parts of a minibatch; see `_parts`."""
        recorded = len(self._recorded)
        while True:
            self.fits = True
            for part, share in self._parts(rollout, whole, local, over):
                # Each part's mean counts by its share: parts differ in their tokens.
                self.weight = weight * share
                yield part
                self._computed.clear()
                if not self.fits:
                    break
            else:
                return
            del self._recorded[recorded:]
            longest = max(rollout.batch.lengths[row] for group in local for row in group)
            self.optimization.use_smaller_micro_batches(longest * len(local[0]))

    def _parts(
        self, rollout: Rollout, whole: Groups, local: Groups, over: Average
    ) -> Iterator[tuple[Rollout, float]]:
        """Yield the parts of this process's rows, of similar length each, with their shares.

        Args:
            rollout: The rollouts of all processes.
            whole: The rows of the minibatch in all processes.
            local: The rows of the minibatch in this process.
            over: What the loss is a mean of.
        """
        lengths, tokens = rollout.batch.lengths, rollout.batch.response_lengths
        size = [tokens[row] if over == "tokens" else 1 for row in range(len(tokens))]
        total = sum(size[row] for group in whole for row in group)
        longest = [max(lengths[row] for row in group) for group in local]
        most = max(1, self.optimization.micro_batch_tokens // len(local[0]))
        for numbers in by_length(longest, most):
            rows = [row for number in numbers for row in local[number]]
            yield rollout.rows(rows), sum(size[row] for row in rows) / total

    def computed(self, compute: Callable[[], Tensor], placeholder: Tensor) -> Tensor:
        """Return what is computed with gradients, or a placeholder where memory ran out.

        Gradients reach the models in `backward`.
        """
        if self.fits:
            try:
                with self.optimization.autocast():
                    output = compute()
            except RuntimeError as error:
                self._note(error)
            else:
                if not output.requires_grad:
                    return output
                leaf = output.detach().requires_grad_()
                self._computed.append((output, leaf))
                return leaf
        return placeholder.detach().clone().requires_grad_()

    def backward(self, loss: Tensor, **metrics: Tensor) -> None:
        """Add the gradient of a part's mean loss, and record its metrics."""
        if self.fits:
            try:
                self.optimization.backward(loss * self.weight)
                self._backward_models()
            except RuntimeError as error:
                self._note(error)
        recorded = {"loss": loss, **metrics}
        self._recorded.append((self.weight, {n: v.detach() for n, v in recorded.items()}))

    def _backward_models(self) -> None:
        """Take the gradients on from the leaves to the models."""
        import torch

        used = [(output, leaf) for output, leaf in self._computed if leaf.grad is not None]
        torch.autograd.backward([output for output, _ in used], [leaf.grad for _, leaf in used])
        for _, leaf in used:
            leaf.grad = None

    def _note(self, error: RuntimeError) -> None:
        """Note that the part does not fit into memory, and free it; raise any other error."""
        if not is_out_of_memory(error):
            raise error
        self.fits = False
        self._computed.clear()

    def means(self) -> dict[str, float]:
        """Return the means of the metrics recorded since the last call."""
        recorded, self._recorded = self._recorded, []
        total = sum(weight for weight, _ in recorded) or 1.0
        names = recorded[0][1] if recorded else {}
        return {
            name: sum(weight * float(metrics[name]) for weight, metrics in recorded) / total
            for name in names
        }
