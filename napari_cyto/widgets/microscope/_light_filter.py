"""The light on the slide's pixels: a few lines of shader, so that panning costs what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vispy.visuals.filters.base_filter import Filter

from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.microscope._light import Light

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

_SHADER = """
    void cyto_light() {
        vec3 seen = gl_FragColor.rgb * $gains;
        seen = (seen - 0.5) * $contrast + 0.5 + $brightness;
        gl_FragColor.rgb = pow(clamp(seen, 0.0, 1.0), vec3($gamma));
    }
"""


class LightFilter:
    """Lays a light over one layer of a viewer; a neutral one leaves no trace on it.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose layer that is.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Layer | None = None
        self._light = Light()
        self._lit: list[tuple[Any, Filter]] = []

    def show(self, layer: Layer | None, light: Light) -> None:
        """Show a layer in a light, and the one before as its file has it."""
        if layer is not self._layer:
            self._part()
            self._layer = layer
            if layer is not None:
                layer.events.set_data.connect(self._follow, position="last")
        self._light = light
        self._follow()

    def let_go(self) -> None:
        """Take the light off."""
        self.show(None, Light())

    def _part(self) -> None:
        self._put_out()
        if self._layer is not None:
            self._layer.events.set_data.disconnect(self._follow)

    def _put_out(self) -> None:
        for visual, lit in self._lit:
            visual.detach(lit)
            visual.update()
        self._lit = []

    def _follow(self, _event: Any = None) -> None:
        """Light what draws the layer now: napari takes another visual for what is too large for one texture."""
        layer, light = self._layer, self._light
        shown = layer is not None and layer in self._viewer.layers and not light.is_neutral
        visuals = napari_window.image_visuals_of(self._viewer, layer) if shown and layer is not None else []
        if [id(v) for v in visuals] != [id(v) for v, _ in self._lit]:
            self._put_out()
            self._lit = [(visual, Filter(fcode=_SHADER)) for visual in visuals]
            self._set()
            for visual, lit in self._lit:
                visual.attach(lit)
        else:
            self._set()

    def _set(self) -> None:
        light = self._light
        for visual, lit in self._lit:
            lit.fshader["gains"] = light.gains_rgb
            lit.fshader["contrast"] = light.contrast
            lit.fshader["brightness"] = light.brightness
            lit.fshader["gamma"] = light.gamma
            visual.update()
