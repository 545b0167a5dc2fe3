"""Promise: what rests on screen is taken down, is kept while one works, and is there when the slide comes again."""

from __future__ import annotations

import time

from napari_cyto.session import Session
from napari_cyto.session.coverage_recorder import CoverageRecorder

VIEW, NEXT = (0.0, 0.0, 1000.0, 1000.0), (500.0, 0.0, 1500.0, 1000.0)
SIZE = (4000, 4000)


def test_only_what_was_on_screen_twice_counts(session):
    recorder = CoverageRecorder(session)
    grown = []
    recorder.grown.connect(lambda: grown.append(1))
    recorder.sample(VIEW, 40)
    assert recorder.mine.share(4) == 0
    recorder.sample(NEXT, 10)
    # Half of it was in both, at the lower of both magnifications.
    assert recorder.mine.share(10) > 0.02
    assert recorder.mine.share(40) == 0
    assert len(grown) == 1
    recorder.looked_away()
    recorder.sample((3000.0, 3000.0, 4000.0, 4000.0), 40)
    recorder.sample((0.0, 3000.0, 900.0, 4000.0), 40)
    assert recorder.mine.share(40) == 0
    recorder.let_go()


def test_it_is_kept_when_the_slide_goes_and_comes_again(session):
    recorder = CoverageRecorder(session)
    one, two = session.project.slides()
    for _ in range(2):
        recorder.sample(VIEW, 40)
    share = recorder.mine.share(40)
    assert share > 0.05
    session.slides.go_to(two.id)
    assert recorder.mine is None
    recorder.sample(VIEW, 40)
    session.slides.go_to(one.id)
    assert recorder.mine.share(40) == share
    folder = session.project.folder
    for _ in range(2):
        recorder.sample((2000.0, 2000.0, 3000.0, 3000.0), 40)
    session.close()
    ben = Session("ben")
    ben.projects.open(folder)
    theirs = CoverageRecorder(ben)
    assert theirs.mine.share(40) == 0
    assert theirs.others["anna"].share(40) > 1.5 * share
    assert theirs.everybody().share(40) == theirs.others["anna"].share(40)
    theirs.let_go()
    ben.close()
    recorder.let_go()


def test_it_is_kept_every_few_seconds(session):
    recorder = CoverageRecorder(session, keep_every_s=0.0)
    for _ in range(3):
        recorder.sample(VIEW, 40)
    end_s = time.monotonic() + 10
    while not session.project.coverage(session.slide.id, SIZE) and time.monotonic() < end_s:
        time.sleep(0.01)
    assert session.project.coverage(session.slide.id, SIZE)["anna"].share(40) == recorder.mine.share(40)
    recorder.let_go()
