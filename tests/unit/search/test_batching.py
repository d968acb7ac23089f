"""The micro-batcher in front of the text encoder."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from atlas.errors import EncoderError, Overloaded
from atlas.search.batching import BatchReport, TextBatcher, Vectors


class Encoding:
    """An encoder whose vectors tell their text, and which waits in its thread when told to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self.entered = threading.Event()
        self.may_leave = threading.Event()
        self.may_leave.set()

    def __call__(self, texts: list[str]) -> Vectors:
        """[number in the text, thread] for each text; "bad" fails its batch."""
        self.batches.append(texts)
        self.threads.add(threading.get_ident())
        self.entered.set()
        assert self.may_leave.wait(10)
        if "bad" in texts:
            raise EncoderError("tiny", "cannot read that")
        return np.array([[float(text), 1.0] for text in texts], dtype=np.float32)

    def hold(self) -> None:
        """Keep the next batch inside the encoder until `may_leave` is set."""
        self.may_leave.clear()
        self.entered.clear()

    async def inside(self) -> None:
        """Wait until a batch is inside the encoder."""
        assert await asyncio.to_thread(self.entered.wait, 10)


@asynccontextmanager
async def batching(
    encode: Callable[[list[str]], Vectors],
    *,
    max_batch: int = 4,
    max_wait_s: float = 0.0,
    max_queue: int = 100,
    on_batch: Callable[[BatchReport], None] | None = None,
) -> AsyncIterator[TextBatcher]:
    """A running batcher."""
    batcher = TextBatcher(encode, max_batch, max_wait_s, max_queue, on_batch)
    batcher.start()
    try:
        yield batcher
    finally:
        await batcher.stop()


def ask(batcher: TextBatcher, *texts: str) -> list[asyncio.Task[np.ndarray]]:
    """Requests that run at once."""
    return [asyncio.create_task(batcher.encode(text)) for text in texts]


async def queued(batcher: TextBatcher, texts: int) -> None:
    """Wait until this many texts are in the queue."""
    async with asyncio.timeout(10):
        while batcher.waiting != texts:  # noqa: ASYNC110 - a queue has no event for each depth
            await asyncio.sleep(0)


async def test_each_gets_its_own_vector() -> None:
    """A person would get the answer to another person's question."""
    async with batching(Encoding(), max_batch=7, max_wait_s=0.01) as batcher:
        vectors = await asyncio.gather(*ask(batcher, *(str(i) for i in range(50))))
    assert [int(vector[0]) for vector in vectors] == list(range(50))
    assert all(vector.dtype == np.float32 and vector.base is None for vector in vectors)


async def test_waiting_texts_leave_together() -> None:
    """The model would run once for each text, at many times the cost."""
    encoding = Encoding()
    async with batching(encoding, max_batch=3, max_wait_s=30) as batcher:
        await asyncio.gather(*ask(batcher, "0", "1", "2", "3", "4", "5"))
    assert encoding.batches == [["0", "1", "2"], ["3", "4", "5"]]
    assert (batcher.batches, batcher.texts, batcher.refused) == (2, 6, 0)


async def test_a_lone_text_waits_no_longer_than_it_must() -> None:
    """With few users every search would wait for company that never comes."""
    loop = asyncio.get_running_loop()
    async with batching(Encoding(), max_wait_s=0.05) as batcher:
        began_s = loop.time()
        await batcher.encode("1")
        assert 0.04 <= loop.time() - began_s < 2


async def test_what_gathers_during_a_batch_leaves_at_once_after_it() -> None:
    """The wait would be counted from the end of the batch before, not from arrival."""
    encoding = Encoding()
    loop = asyncio.get_running_loop()
    async with batching(encoding, max_batch=3, max_wait_s=1.0) as batcher:
        encoding.hold()
        first = ask(batcher, "0", "1", "2")
        await encoding.inside()
        rest = ask(batcher, "3", "4")
        await asyncio.sleep(1.05)
        began_s = loop.time()
        encoding.may_leave.set()
        await asyncio.gather(*first, *rest)
        assert loop.time() - began_s < 0.8
    assert encoding.batches == [["0", "1", "2"], ["3", "4"]]


async def test_the_model_runs_in_one_thread_off_the_loop() -> None:
    """Every other request would stand still while the model runs."""
    encoding = Encoding()
    async with batching(encoding, max_batch=1) as batcher:
        encoding.hold()
        tasks = ask(batcher, "0", "1", "2")
        await encoding.inside()
        await asyncio.sleep(0.01)  # the loop is alive while a batch is held
        encoding.may_leave.set()
        await asyncio.gather(*tasks)
    assert len(encoding.threads) == 1
    assert threading.get_ident() not in encoding.threads


async def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    """Under load memory would grow, and everybody would wait longer than anybody stays."""
    encoding = Encoding()
    async with batching(encoding, max_batch=2, max_queue=3) as batcher:
        await batcher.encode("9")
        encoding.hold()
        first = ask(batcher, "0")
        await encoding.inside()
        waiting = ask(batcher, "1", "2", "3")
        await queued(batcher, 3)
        with pytest.raises(Overloaded) as caught:
            await batcher.encode("4")
        assert 0 < caught.value.retry_after_s < 10
        assert batcher.refused == 1
        encoding.may_leave.set()
        answers = await asyncio.gather(*first, *waiting)
        assert [int(vector[0]) for vector in answers] == [0, 1, 2, 3]
        assert int((await batcher.encode("5"))[0]) == 5


async def test_the_time_to_come_back_follows_queue_and_batch_time() -> None:
    """Clients would all come back at once, too early."""
    encoding = Encoding()

    def slow(texts: list[str]) -> Vectors:
        if texts == ["0"]:
            threading.Event().wait(0.05)
        return encoding(texts)

    async with batching(slow, max_batch=2, max_queue=9) as batcher:
        await batcher.encode("0")
        once_s = batcher.retry_after_s
        assert 0.04 < once_s < 2
        encoding.hold()
        first = ask(batcher, "1")
        await encoding.inside()
        rest = ask(batcher, "2", "3", "4", "5")
        await queued(batcher, 4)
        assert batcher.retry_after_s == pytest.approx(3 * once_s)
        encoding.may_leave.set()
        await asyncio.gather(*first, *rest)


async def test_one_who_leaves_does_not_break_the_batch() -> None:
    """A closed browser tab would fail the searches of others, or hold a place in the queue."""
    encoding = Encoding()
    async with batching(encoding, max_batch=2, max_queue=2) as batcher:
        encoding.hold()
        running = ask(batcher, "0")
        await encoding.inside()
        leaver, stayer = ask(batcher, "1", "2")
        await queued(batcher, 2)
        leaver.cancel()
        running[0].cancel()
        await queued(batcher, 1)
        newcomer = ask(batcher, "3")
        await queued(batcher, 2)
        encoding.may_leave.set()
        answers = await asyncio.gather(stayer, *newcomer)
        assert [int(vector[0]) for vector in answers] == [2, 3]
        assert leaver.cancelled()
        assert running[0].cancelled()
    assert encoding.batches == [["0"], ["2", "3"]]


async def test_all_may_leave() -> None:
    """A batch of nobody would reach the encoder, or end the loop."""
    encoding = Encoding()
    async with batching(encoding, max_batch=5, max_wait_s=0.02) as batcher:
        tasks = ask(batcher, "0", "1")
        await queued(batcher, 2)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert int((await batcher.encode("2"))[0]) == 2
    assert encoding.batches == [["2"]]


async def test_an_error_reaches_all_of_its_batch_and_nobody_else() -> None:
    """Requests would hang for ever, and so would every one after them."""
    encoding = Encoding()
    reports: list[BatchReport] = []
    async with batching(encoding, max_batch=2, max_wait_s=30, on_batch=reports.append) as batcher:
        good, bad, other, last = ask(batcher, "1", "bad", "2", "3")
        for failed in (good, bad):
            with pytest.raises(EncoderError, match="cannot read that"):
                await failed
        assert [int(vector[0]) for vector in await asyncio.gather(other, last)] == [2, 3]
    assert [report.failed for report in reports] == [True, False]


async def test_too_few_vectors_are_an_error() -> None:
    """The last of a batch would wait for ever."""
    async with batching(lambda _: np.zeros((0, 2), dtype=np.float32)) as batcher:
        with pytest.raises(ValueError, match="1 texts gave 0 vectors"):
            await batcher.encode("1")


async def test_telemetry_sees_each_batch_and_cannot_stop_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A broken counter would take the search down."""
    reports: list[BatchReport] = []

    def observe(report: BatchReport) -> None:
        reports.append(report)
        raise KeyError("metric")

    async with batching(Encoding(), max_batch=2, max_wait_s=30, on_batch=observe) as batcher:
        await asyncio.gather(*ask(batcher, "1", "2", "3", "4"))
    assert [report.texts for report in reports] == [2, 2]
    assert reports[0].waiting == 2
    assert all(report.encode_s >= 0 and report.oldest_wait_s >= 0 for report in reports)
    assert "observer of text batches" in caplog.text


async def test_stopping_finishes_what_waits() -> None:
    """A restart would fail the searches under way."""
    encoding = Encoding()
    batcher = TextBatcher(encoding, max_batch=2, max_wait_s=30, max_queue=9)
    batcher.start()
    tasks = ask(batcher, "1", "2", "3")
    await asyncio.sleep(0)
    await batcher.stop()
    assert [int(vector[0]) for vector in await asyncio.gather(*tasks)] == [1, 2, 3]
    with pytest.raises(Overloaded, match="not running"):
        await batcher.encode("4")
    await batcher.stop()


async def test_stopping_fails_what_takes_too_long() -> None:
    """A stuck model would keep the server from ending, and its clients waiting."""
    encoding = Encoding()
    batcher = TextBatcher(encoding, max_batch=1, max_wait_s=0, max_queue=9)
    batcher.start()
    encoding.hold()
    tasks = ask(batcher, "1", "2")
    await encoding.inside()
    await batcher.stop(grace_s=0.01)
    encoding.may_leave.set()
    for task in tasks:
        with pytest.raises(Overloaded, match="stopping"):
            await task


def test_a_loop_that_ends_leaves_nobody_waiting() -> None:
    """A server that ends without `stop` would hang, or complain of answers nobody read."""
    encoding = Encoding()
    encoding.hold()

    async def end_early() -> list[asyncio.Task[np.ndarray]]:
        batcher = TextBatcher(encoding, max_batch=1, max_wait_s=0, max_queue=9)
        batcher.start()
        tasks = ask(batcher, "1", "2")
        await encoding.inside()
        threading.Timer(0.05, encoding.may_leave.set).start()
        return tasks

    tasks = asyncio.run(end_early())
    assert all(task.cancelled() for task in tasks)
    gc.collect()


async def test_it_starts_once_and_within_bounds() -> None:
    """Two loops would share one queue; a queue of none would refuse everything."""
    async with batching(Encoding()) as batcher:
        with pytest.raises(RuntimeError, match="started already"):
            batcher.start()
    for bounds in ((0, 0.0, 1), (1, -1.0, 1), (1, 0.0, 0)):
        with pytest.raises(ValueError, match="at least"):
            TextBatcher(Encoding(), *bounds)
