"""Guards that a cluster's silent worker, one that is gone and a silent scheduler are named, each once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from napari_cyto.errors import CytoError
from napari_cyto.inference.cluster import _watch as cluster_watch
from napari_cyto.inference.cluster._watch import ClusterWatch
from napari_cyto.inference.cluster.workers import shut_down

PATIENCE_S = 30.0


class Client:
    """A scheduler with two workers, whose clock is another one."""

    status = "running"

    def __init__(self) -> None:
        self.frozen: set[str] = set()
        self.gone: set[str] = set()
        self.taken_out: list[str] = []
        self.answers = True
        self.clock_s = 1e9
        self.seen = {"tcp://a:1": self.clock_s, "tcp://b:2": self.clock_s}
        self.scheduler = self

    def identity(self) -> dict[str, Any]:
        self.clock_s += 0.5
        self.seen |= {name: self.clock_s for name in self.seen if name not in self.frozen}
        return {"workers": {n: {"last_seen": s} for n, s in self.seen.items() if n not in self.gone}}

    def _run_on_scheduler(self, work: Any, address: str) -> None:
        assert work is cluster_watch.take_out
        self.taken_out.append(address)
        self.gone.add(address)

    def sync(self, work: Callable[..., Any], *arguments: Any, callback_timeout: float) -> Any:
        if not self.answers:
            raise TimeoutError
        return work(*arguments)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    limits = {"_LOOK_S": 0.02, "SILENT_S": 0.2, "GIVEN_UP_S": 0.6, "LOADING_S": 0.6, "SCHEDULER_LOST_S": 0.6}
    for name, seconds in limits.items():
        monkeypatch.setattr(cluster_watch, name, seconds)
    return Client()


@pytest.fixture
def watch(client: Client) -> Iterator[ClusterWatch]:
    watch = ClusterWatch(client, "tcp://s:8786")
    watch.have_loaded()
    yield watch
    watch.close()


def said(watch: ClusterWatch, count: int) -> list[str]:
    found: list[str] = []
    end_s = time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < end_s, found
        found += watch.incidents()
        time.sleep(0.01)
    return found


def test_a_frozen_worker_is_named_and_taken_out_once(client: Client, watch: ClusterWatch) -> None:
    client.frozen.add("tcp://b:2")
    first, second = said(watch, 2)
    assert first.startswith("The worker tcp://b:2 has not responded for 0 s; after")
    assert second.startswith("The worker tcp://b:2 did not respond for 1 s and was removed from the cluster; other")
    assert client.taken_out == ["tcp://b:2"]
    time.sleep(0.1)
    assert watch.incidents() == []
    assert watch.present() == 1


def test_one_that_wakes_in_time_stays(client: Client, watch: ClusterWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_watch, "GIVEN_UP_S", PATIENCE_S)
    client.frozen.add("tcp://a:1")
    assert "has not responded" in said(watch, 1)[0]
    client.frozen.clear()
    assert said(watch, 1) == ["The worker tcp://a:1 is responding again."]
    assert client.taken_out == []


def test_while_models_are_loaded_silence_is_no_fault(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_watch, "LOADING_S", PATIENCE_S)
    watch = ClusterWatch(client, "tcp://s:8786")
    client.frozen.add("tcp://a:1")
    time.sleep(1.0)
    assert watch.incidents() == []
    assert client.taken_out == []
    watch.have_loaded()
    assert "has not responded" in said(watch, 1)[0]
    watch.close()


def test_who_dies_and_who_comes_is_named(client: Client, watch: ClusterWatch) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while watch._workers is None and time.monotonic() < end_s:
        time.sleep(0.01)
    client.gone.add("tcp://a:1")
    assert said(watch, 1)[0].startswith("The worker tcp://a:1 is gone (it ended, or its connection broke); other")
    client.gone.clear()
    assert said(watch, 1) == ["The worker tcp://a:1 has joined."]


def test_a_silent_scheduler_is_named_then_given_up(client: Client, watch: ClusterWatch) -> None:
    client.answers = False
    assert said(watch, 1)[0].startswith("The scheduler at tcp://s:8786 has not responded for 0 s; after 1 s")
    end_s = time.monotonic() + PATIENCE_S
    while watch.present() is not None:
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_a_scheduler_that_wakes_is_reported_and_blames_no_worker(
    client: Client, watch: ClusterWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_watch, "SCHEDULER_LOST_S", PATIENCE_S)
    client.answers = False
    said(watch, 1)
    client.answers = True
    assert said(watch, 1) == ["The scheduler at tcp://s:8786 is responding again."]
    time.sleep(0.1)
    assert watch.incidents() == []


def test_a_connection_that_is_closed_is_seen_at_once(client: Client, watch: ClusterWatch) -> None:
    client.status = "closed"
    assert watch.present() is None


def test_while_workers_describe_themselves_a_silent_one_is_left_out_and_a_lost_scheduler_ends_it(
    client: Client, watch: ClusterWatch
) -> None:
    from concurrent.futures import Future
    from types import SimpleNamespace

    from napari_cyto import __version__
    from napari_cyto.inference.cluster.workers import _facts

    client.frozen.add("tcp://b:2")

    def ask(worker: str) -> Future[Any]:
        future: Future[Any] = Future()
        if worker not in client.frozen:
            future.set_result(SimpleNamespace(version=__version__))
        return future

    assert len(_facts(ask, ["tcp://a:1", "tcp://b:2"], None, watch.check)) == 1
    client.answers = False
    client.frozen.add("tcp://a:1")
    with pytest.raises(CytoError, match="The scheduler at tcp://s:8786 no longer responds"):
        _facts(ask, ["tcp://a:1"], None, watch.check)


def test_what_was_requested_of_a_cluster_that_is_gone_is_given_up_without_a_word() -> None:
    """Its client being closed, giving up raised what is no sentence, in place of the sentence that it is gone."""
    distributed = pytest.importorskip("distributed")

    class Gone:
        def shutdown(self, wait: bool) -> None:
            raise distributed.client.ClosedClientError("Client is closed.")

    shut_down(Gone())
