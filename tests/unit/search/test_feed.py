"""The two buffers between batches of pictures and a device that works when it pleases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from atlas.errors import EncoderError
from atlas.search.feed import BATCHES_IN_FLIGHT, Feed, Pending, Vectors
from atlas.search.streams import Inline, Mark, StreamName, Streams, Work, streams_of


class LateMark:
    """Work that is done when somebody waits for it, and not a moment before."""

    def __init__(self, work: Work, before: Sequence[LateMark]) -> None:
        self._work: Work | None = work
        self._before = before

    def wait(self) -> None:
        """Do all that comes before, then this."""
        if self._work is None:
            return
        for mark in self._before:
            mark.wait()
        work, self._work = self._work, None
        work()

    def seconds(self) -> float:
        """Nobody knows."""
        return 0.0


class LateStreams:
    """A device with memory of its own that does everything as late as its marks allow.

    Within a stream work is done in order, as on a GPU.
    """

    def __init__(self) -> None:
        self._last: dict[str, LateMark] = {}

    def run(self, stream: StreamName, work: Work, after: Sequence[Mark]) -> Mark:
        """Note it down."""
        before = [mark for mark in after if isinstance(mark, LateMark)]
        assert len(before) == len(after)
        previous = self._last.get(stream)
        mark = LateMark(work, [*before, previous] if previous else before)
        self._last[stream] = mark
        return mark

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Memory full of rubbish."""
        return torch.full(shape, 77, dtype=dtype)

    def beside(self, host: torch.Tensor) -> torch.Tensor:
        """Memory of its own."""
        return torch.full_like(host, 88)


class HastyStreams(LateStreams):
    """Forgets what the copies have to wait for: the fault that the feed must not have."""

    def run(self, stream: StreamName, work: Work, after: Sequence[Mark]) -> Mark:
        """Copies come at once."""
        if stream == "copy":
            work()
            return LateMark(lambda: None, [])
        return super().run(stream, work, after)


def means(pixels: torch.Tensor) -> torch.Tensor:
    """A model: the mean of each channel."""
    return pixels.float().mean(dim=(2, 3))


def feed_of(streams: Streams, *, fixed: bool = False) -> Feed:
    """Batches of four."""
    return Feed("test", means, streams, batch_size=4, height=2, width=3, dim=3, fixed=fixed)


def vectors_of(
    feed: Feed, sizes: Sequence[int], in_flight: int = BATCHES_IN_FLIGHT
) -> list[Vectors]:
    """Send batches of these sizes, batch n of the value n, asking for each that much later."""
    pending: list[Pending] = []
    vectors = []
    for number, rows in enumerate(sizes):
        buffer = feed.buffer()
        buffer[:] = 255  # a late copy of the batch before would now be seen
        buffer[:rows] = number
        pending.append(feed.launch(rows))
        if len(pending) == in_flight:
            vectors.append(pending.pop(0).vectors().copy())
    return [*vectors, *(batch.vectors() for batch in pending)]


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("streams", [LateStreams(), Inline(torch.device("cpu"))])
@pytest.mark.parametrize("in_flight", [1, BATCHES_IN_FLIGHT, 99])
def test_no_batch_is_overwritten_before_it_was_read(
    streams: Streams, fixed: bool, in_flight: int
) -> None:
    """Would break: a slow GPU is given the pixels of the batch after."""
    sizes = [4, 4, 4, 1, 4, 2, 4, 3]
    vectors = vectors_of(feed_of(streams, fixed=fixed), sizes, in_flight)
    assert [len(batch) for batch in vectors] == sizes
    for number, batch in enumerate(vectors):
        assert (batch == number).all(), number


def test_a_copy_that_does_not_wait_would_be_seen() -> None:
    """Would break: the test above passes whatever the feed does."""
    vectors = vectors_of(feed_of(HastyStreams()), [4] * 6, 99)
    assert any((batch != number).any() for number, batch in enumerate(vectors))


def test_all_batches_of_a_fixed_feed_have_one_shape() -> None:
    """Would break: a compiled model is compiled anew for the last batch of every part."""
    shapes = []

    def model(pixels: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(pixels.shape))
        return means(pixels)

    feed = Feed("test", model, LateStreams(), batch_size=4, height=2, width=3, dim=3, fixed=True)
    vectors_of(feed, [4, 3, 1])
    assert set(shapes) == {(4, 3, 2, 3)}


def test_a_batch_has_rows_and_fits() -> None:
    """Would break: an empty batch reaches a model that cannot take it, or rows are cut off."""
    feed = feed_of(LateStreams())
    for rows in (0, 5):
        with pytest.raises(ValueError, match="1 to 4 pictures"):
            feed.launch(rows)


def test_a_vector_that_is_no_number_stops_the_stream() -> None:
    """Would break: a NaN sits in an index unseen."""

    def model(pixels: torch.Tensor) -> torch.Tensor:
        vectors = means(pixels)
        vectors[2] = torch.nan
        return vectors

    feed = Feed("test", model, LateStreams(), batch_size=4, height=2, width=3, dim=3, fixed=True)
    feed.buffer()[:] = 1
    first, second = feed.launch(2), feed.launch(3)
    assert len(first.vectors()) == 2  # row 2 is filler here
    with pytest.raises(EncoderError, match="vector 2 of a batch is not finite"):
        second.vectors()


@pytest.mark.gpu
def test_a_gpu_keeps_batches_apart() -> None:
    """Would break: on a GPU, where copies and model run beside each other, batches mix."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU here")
    device = torch.device("cuda")
    ballast = torch.ones(2048, 2048, device=device)

    def slow(pixels: torch.Tensor) -> torch.Tensor:
        for _ in range(20):
            torch.mm(ballast, ballast)
        return means(pixels)

    feed = Feed(
        "test", slow, streams_of(device), batch_size=4, height=2, width=3, dim=3, fixed=True
    )
    sizes = [4, 3, 4, 1] * 10
    for number, batch in enumerate(vectors_of(feed, sizes)):
        assert (batch == number).all(), number
