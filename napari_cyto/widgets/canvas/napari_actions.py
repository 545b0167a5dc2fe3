"""What napari's own commands do while a project is open: serve the slide, speak of the project, or say that they rest.

napari lays pictures over the slide, turns it, hides it or saves a layer as a table, from menus, shortcuts, its command
palette and the context menus of its list of layers. All of these run commands of one registry, so that one place
answers for all. What reaches the viewer by another way, from a console or a plugin, `Pins` sets right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from napari import Viewer

# Commands that leave slide and annotations alone, by how their names begin. A command that a later napari brings is not
# among them, and rests until somebody has looked at it.
SERVES = (
    "napari-cyto.",
    "napari.canvas.toggle_scale_bar",
    "napari.scene.zoom_",
    "napari.widgets.",
    "napari.window.debug.",
    "napari.window.file.close_dialog",
    "napari.window.file.copy_",
    "napari.window.file.quit_dialog",
    "napari.window.file.restart",
    "napari.window.file.save_canvas_screenshot",
    "napari.window.file.save_viewer_screenshot",
    "napari.window.file.show_preferences",
    "napari.window.help.",
    "napari.window.plugins.",
    "napari.window.toggle_",
    "napari.window.view.toggle_activity_dock",
    "napari.window.view.toggle_command_palette",
    "napari.window.view.toggle_fullscreen",
    "napari.window.view.toggle_menubar",
)
# Begin like those above, and yet put layers into the viewer or speak of napari's layers.
RESTS = (
    "napari-cyto.demo_smear",
    "napari-cyto.read_",
    "napari-cyto.write_",
    "napari.window.help.tips",
    "napari.window.help.viewer_tour",
)

Answer = Callable[[str, str], None]

_answers: WeakKeyDictionary[Any, Answer] = WeakKeyDictionary()


def serves_a_slide(command_id: str) -> bool:
    """Whether a command of napari's or a plugin's may run while a project is open."""
    if command_id.startswith(RESTS) or command_id in _samples():
        return False
    return command_id.startswith(SERVES) or not command_id.startswith("napari.")


def answer_for(viewer: Viewer, answer: Answer) -> None:
    """Have ``answer`` called, with id and title, instead of each command of ``viewer`` that does not serve a slide."""
    _answers[viewer] = answer
    commands = _registry()
    if "execute_command" not in vars(commands):
        commands.execute_command = _executing(commands.execute_command)


def let_run(viewer: Viewer) -> None:
    """Let the commands of ``viewer`` run again."""
    _answers.pop(viewer, None)
    if not _answers:
        vars(_registry()).pop("execute_command", None)


def _executing(original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    def execute_command(id: str, *args: Any, **options: Any) -> Future[Any]:
        import napari

        viewer = napari.current_viewer()
        answer = _answers.get(viewer) if viewer is not None else None
        if answer is None or serves_a_slide(id):
            return original(id, *args, **options)
        answer(id, _title(id))
        done: Future[Any] = Future()
        done.set_result(None)
        return done

    return execute_command


def _registry() -> Any:
    from napari._app_model import get_app_model

    return get_app_model().commands


def _title(command_id: str) -> str:
    commands = _registry()
    return str(commands[command_id].title).rstrip(".…") if command_id in commands else command_id


def _samples() -> set[str]:
    """Return the commands by which plugins add sample data."""
    from npe2 import PluginManager

    contributions: Iterable[Any] = (c for _, group in PluginManager.instance().iter_sample_data() for c in group)
    return {str(getattr(c, "command", "")) for c in contributions} - {""}
