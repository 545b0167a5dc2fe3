"""What each kind of cell measures: the Bethesda System's criteria as numbers.

Source
------
Nayar R, Wilbur DC (eds). The Bethesda System for Reporting Cervical Cytology, 3rd ed. Springer 2015, chapters 2, 4
and 5: a normal intermediate nucleus has about 35 µm²; ASC-US nuclei 2.5 to 3 times that; LSIL nuclei more than 3
times, cells of mature size, halo with a sharp edge, two nuclei; ASC-H nuclei 1.5 to 2.5 times, cells the size of
metaplastic ones; HSIL cells smaller, nucleus:cytoplasm ratio markedly raised, irregular membranes, syncytial sheets;
squamous cell carcinoma pleomorphic, spindle and tadpole cells, orange cytoplasm, coarse chromatin.
"""

from __future__ import annotations

from dataclasses import dataclass

NORMAL_NUCLEUS_UM2 = 35.0

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Cytoplasm of one kind of cell.

    Parameters
    ----------
    form : str
        ``plate`` (flat, cornered), ``oval``, ``spindle`` or ``tadpole``.
    diameter_um : tuple of float
        Of the circle of equal area, µm; ignored where ``nc_ratio`` is given.
    nc_ratio : tuple of float or None
        Nucleus area over cell area; the cell is then made to fit its own nucleus.
    aspect : tuple of float
        Length over width.
    density : tuple of float
        Dye at the body's middle, share of full.
    roundness : float
        Of a plate's corners, 0 to 1.
    fold : float
        How likely a flap is folded over.
    creases : float
        Strength of wrinkles.
    grain : float
        Strength of fine texture.
    rim : float
        Strength of the line at the cell's edge.
    halo_um : tuple of float or None
        Radius of a cleared zone round the nucleus (koilocyte), µm.
    """

    form: str = "plate"
    diameter_um: Range = (46.0, 58.0)
    nc_ratio: Range | None = None
    aspect: Range = (1.0, 1.4)
    density: Range = (0.34, 0.52)
    roundness: float = 0.2
    fold: float = 0.4
    creases: float = 0.5
    grain: float = 0.5
    rim: float = 0.5
    halo_um: Range | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nucleus:
    """Nucleus of one kind of cell.

    Parameters
    ----------
    area_um2 : tuple of float
        Area, µm².
    aspect : tuple of float
        Length over width.
    irregularity : float
        How far the outline leaves an oval, share of the radius.
    density : tuple of float
        Haematoxylin, share of full: hyperchromasia.
    chromatin : float
        Contrast of the chromatin.
    grain_um : float
        Size of its grains, µm.
    membrane : float
        How much darker the nuclear membrane is.
    nucleoli : float
        How likely a nucleolus shows.
    """

    area_um2: Range
    aspect: Range = (1.0, 1.3)
    irregularity: float = 0.02
    density: Range = (0.4, 0.5)
    chromatin: float = 0.2
    grain_um: float = 0.5
    membrane: float = 0.2
    nucleoli: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CellKind:
    """One kind of epithelial cell.

    Parameters
    ----------
    name : str
        What it is called.
    class_id : str
        Its Bethesda class.
    body, nucleus : Body, Nucleus
        Its looks.
    tones : tuple of str
        Names of the stains its cytoplasm takes, in equal shares.
    binucleate : float
        How likely it has two nuclei.
    share : float
        Its share among the kinds of its class.
    variants : int
        How many different ones are drawn.
    """

    name: str
    class_id: str
    body: Body
    nucleus: Nucleus
    tones: tuple[str, ...]
    binucleate: float = 0.0
    share: float = 1.0
    variants: int = 48

    @property
    def paired(self) -> bool:
        """Whether each body belongs to one nucleus, drawn to fit."""
        return self.body.nc_ratio is not None


def _normal(low: float, high: float) -> Range:
    return (low * NORMAL_NUCLEUS_UM2, high * NORMAL_NUCLEUS_UM2)


KINDS: tuple[CellKind, ...] = (
    CellKind(
        name="superficial",
        class_id="NILM",
        share=0.46,
        variants=110,
        body=Body(diameter_um=(46, 60), roundness=0.12, fold=0.5, creases=0.7),
        nucleus=Nucleus(area_um2=_normal(0.6, 0.85), density=(0.66, 0.86), chromatin=0.1, irregularity=0.03),
        tones=("pink", "pink", "salmon", "orange", "cyan"),
    ),
    CellKind(
        name="intermediate",
        class_id="NILM",
        share=0.46,
        variants=110,
        body=Body(diameter_um=(42, 56), roundness=0.18, fold=0.55, creases=0.8, density=(0.36, 0.6)),
        nucleus=Nucleus(area_um2=_normal(0.92, 1.25), density=(0.36, 0.52), chromatin=0.24, membrane=0.25),
        tones=("cyan", "cyan", "lilac", "teal", "pink"),
    ),
    CellKind(
        name="parabasal",
        class_id="NILM",
        share=0.08,
        variants=30,
        body=Body(form="oval", diameter_um=(19, 26), density=(0.5, 0.7), fold=0, creases=0.2, rim=0.35),
        nucleus=Nucleus(area_um2=_normal(1.1, 1.4), density=(0.38, 0.52), chromatin=0.24, membrane=0.25),
        tones=("teal", "cyan", "salmon"),
    ),
    CellKind(
        name="atypical",
        class_id="ASC-US",
        body=Body(diameter_um=(42, 54), roundness=0.25, fold=0.3, creases=0.5, density=(0.38, 0.55)),
        nucleus=Nucleus(
            area_um2=_normal(2.5, 3.0), density=(0.38, 0.54), chromatin=0.26, irregularity=0.04, membrane=0.28
        ),
        tones=("cyan", "lilac", "pink", "salmon"),
        binucleate=0.12,
    ),
    CellKind(
        name="koilocyte",
        class_id="LSIL",
        share=0.55,
        body=Body(diameter_um=(46, 58), roundness=0.35, fold=0.1, creases=0.35, density=(0.5, 0.68), halo_um=(11, 15)),
        nucleus=Nucleus(
            area_um2=_normal(3.2, 4.4),
            aspect=(1.05, 1.4),
            density=(0.52, 0.7),
            chromatin=0.24,
            grain_um=0.6,
            irregularity=0.06,
            membrane=0.15,
        ),
        tones=("cyan", "salmon", "orange", "pink"),
        binucleate=0.35,
    ),
    CellKind(
        name="low-grade",
        class_id="LSIL",
        share=0.45,
        body=Body(diameter_um=(40, 54), roundness=0.3, fold=0.25, creases=0.5, density=(0.42, 0.6)),
        nucleus=Nucleus(
            area_um2=_normal(3.3, 5.2),
            aspect=(1.0, 1.45),
            density=(0.46, 0.66),
            chromatin=0.3,
            grain_um=0.6,
            irregularity=0.06,
            membrane=0.3,
        ),
        tones=("cyan", "pink", "lilac", "salmon"),
        binucleate=0.2,
    ),
    CellKind(
        name="immature atypical",
        class_id="ASC-H",
        body=Body(form="oval", nc_ratio=(0.3, 0.42), density=(0.46, 0.66), fold=0, creases=0.15, rim=0.3),
        nucleus=Nucleus(
            area_um2=_normal(1.6, 2.5),
            aspect=(1.05, 1.45),
            density=(0.5, 0.68),
            chromatin=0.28,
            irregularity=0.06,
            membrane=0.3,
        ),
        tones=("teal", "cyan", "salmon"),
    ),
    CellKind(
        name="high-grade",
        class_id="HSIL",
        variants=60,
        body=Body(form="oval", nc_ratio=(0.5, 0.68), density=(0.44, 0.64), fold=0, creases=0.1, rim=0.2),
        nucleus=Nucleus(
            area_um2=_normal(1.9, 3.5),
            aspect=(1.05, 1.6),
            density=(0.5, 0.72),
            chromatin=0.42,
            grain_um=0.7,
            irregularity=0.1,
            membrane=0.35,
        ),
        tones=("teal", "teal", "cyan", "salmon"),
    ),
    CellKind(
        name="non-keratinising carcinoma",
        class_id="SCC",
        share=0.4,
        body=Body(form="oval", nc_ratio=(0.4, 0.62), aspect=(1, 1.7), density=(0.5, 0.7), fold=0, creases=0.2, rim=0.2),
        nucleus=Nucleus(
            area_um2=_normal(2, 6),
            aspect=(1.05, 1.7),
            density=(0.54, 0.78),
            chromatin=0.52,
            grain_um=0.95,
            irregularity=0.12,
            membrane=0.3,
            nucleoli=0.5,
        ),
        tones=("teal", "cyan"),
        variants=40,
    ),
    CellKind(
        name="spindle carcinoma",
        class_id="SCC",
        share=0.35,
        body=Body(form="spindle", nc_ratio=(0.14, 0.24), aspect=(5, 9), density=(0.6, 0.85), fold=0, creases=0.4),
        nucleus=Nucleus(
            area_um2=_normal(1.6, 3.6),
            aspect=(2.2, 3.4),
            density=(0.85, 1.0),
            chromatin=0.2,
            grain_um=0.9,
            irregularity=0.08,
        ),
        tones=("orange", "orange", "salmon"),
        variants=30,
    ),
    CellKind(
        name="tadpole carcinoma",
        class_id="SCC",
        share=0.25,
        body=Body(form="tadpole", nc_ratio=(0.16, 0.28), aspect=(3, 5), density=(0.6, 0.85), fold=0, creases=0.4),
        nucleus=Nucleus(
            area_um2=_normal(2.2, 5),
            aspect=(1.1, 1.7),
            density=(0.85, 1.0),
            chromatin=0.3,
            grain_um=0.9,
            irregularity=0.12,
        ),
        tones=("orange", "salmon"),
        variants=30,
    ),
)

CLASSES = ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")


def kinds_of(class_id: str) -> tuple[CellKind, ...]:
    """Return the kinds of cell that make up a Bethesda class."""
    return tuple(kind for kind in KINDS if kind.class_id == class_id)
