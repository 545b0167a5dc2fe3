"""Guards the library of models and its verbs: what ships stays, what is added is whole, nothing is added twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_cyto.cli.entry import run
from napari_cyto.errors import CytoError
from napari_cyto.models import library
from napari_cyto.models.library import add_model, bundle_named, list_models, remove_model, user_folder, verify_model

MakeBundle = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of this test's own, with nothing that ships."""
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(library, "shipped_folder", lambda: tmp_path / "shipped")


def ship(folder: Path) -> Path:
    target = folder.parent / "shipped" / folder.name
    target.parent.mkdir(exist_ok=True)
    return folder.rename(target)


def test_a_model_is_added_found_and_removed(make_bundle: MakeBundle) -> None:
    assert list_models() == ()
    folder = make_bundle("mine")
    entry = add_model(folder)
    assert (entry.name, entry.path, entry.shipped) == ("mine", user_folder() / "mine", False)
    assert [e.name for e in list_models()] == ["mine"]
    assert bundle_named("mine").path == user_folder() / "mine"
    assert bundle_named(str(folder)).sha256 == bundle_named("mine").sha256
    assert verify_model("mine")["checked"] == ["manifest", "hash", "tensors", "finite"]
    remove_model("mine")
    assert list_models() == ()
    assert list(user_folder().iterdir()) == []


def test_nothing_is_added_twice(make_bundle: MakeBundle) -> None:
    folder = make_bundle("mine")
    add_model(folder)
    with pytest.raises(CytoError, match=r"identical weights.*models remove mine"):
        add_model(folder)
    ship(make_bundle("starter"))
    with pytest.raises(CytoError, match="is built in"):
        add_model(make_bundle("copy", id="starter"))


def test_what_is_refused_is_not_added(make_bundle: MakeBundle) -> None:
    folder = make_bundle("mine")
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CytoError, match="incomplete"):
        add_model(folder)
    assert list_models() == ()


def test_what_ships_stays(make_bundle: MakeBundle) -> None:
    shipped = ship(make_bundle("starter"))
    assert list_models()[0].shipped
    with pytest.raises(CytoError, match="is built in"):
        remove_model("starter")
    assert shipped.is_dir()
    with pytest.raises(CytoError, match="no model"):
        remove_model("../shipped/starter")


def test_a_link_is_removed_and_what_it_leads_to_is_not(make_bundle: MakeBundle) -> None:
    folder = make_bundle("elsewhere")
    user_folder().mkdir(parents=True)
    (user_folder() / "elsewhere").symlink_to(folder)
    remove_model("elsewhere")
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.safetensors"]
    assert list_models() == ()


def test_a_broken_model_is_listed_with_its_fault(make_bundle: MakeBundle, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(make_bundle("mine"))
    (user_folder() / "mine" / "model.json").write_text("{", encoding="utf-8")
    assert "not valid JSON" in list_models()[0].fault
    assert run(["models", "list"]) == 0
    assert "not valid JSON" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nowhere", "", "..", "a\0b", "x" * 5000])
def test_what_is_not_there_is_said(name: str) -> None:
    with pytest.raises(CytoError):
        bundle_named(name)


def test_a_full_disk_leaves_nothing(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    folder = make_bundle("mine")
    monkeypatch.setattr(library.shutil, "copyfile", full)
    with pytest.raises(CytoError, match="disk is full"):
        add_model(folder)
    assert list_models() == ()


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert run(["models", *words, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_the_verbs_tell_machines(make_bundle: MakeBundle, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_bundle("mine", card={"licence": "CC BY 4.0", "summary": "sorts"})
    assert printed(capsys, "list") == {"models": []}
    assert printed(capsys, "add", str(folder))["added"] == "mine"
    (listed,) = printed(capsys, "list")["models"]  # type: ignore[misc]
    assert (listed["name"], listed["origin"], listed["licence"], listed["ok"]) == ("mine", "added", "CC BY 4.0", True)
    shown = printed(capsys, "show", "mine")
    assert (shown["id"], shown["card"]["summary"]) == ("mine", "sorts")  # type: ignore[index]
    assert printed(capsys, "remove", "mine")["removed"] == "mine"


def test_the_verbs_tell_people(make_bundle: MakeBundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    assert "no models yet" in capsys.readouterr().out
    folder = make_bundle("mine", card={"limits": "not for diagnosis"})
    for words in (["add", str(folder)], ["list"], ["show", "mine"]):
        assert run(["models", *words]) == 0
        assert "mine" in capsys.readouterr().out


def test_verify_leaves_with_2_when_a_byte_changed(make_bundle: MakeBundle, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_bundle("mine")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(content))
    assert run(["models", "verify", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "SHA-256" in err


def test_verify_says_what_it_could_check(
    make_bundle: MakeBundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_cyto.cli.models_verbs.can_run", lambda manifest: False)
    assert run(["models", "verify", str(make_bundle("mine"))]) == 0
    assert "finite" in capsys.readouterr().out
