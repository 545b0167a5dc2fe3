"""The command line called as a test calls it: it goes well and speaks JSON, or refuses in one sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from napari_cyto.cli.entry import run


def printed(argv: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(argv) == 0
    return json.loads(capsys.readouterr().out)


def refusal(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err
