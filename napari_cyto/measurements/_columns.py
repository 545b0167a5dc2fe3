"""What each measurement is called, its unit, and the formula it is computed by."""

from __future__ import annotations

from dataclasses import dataclass

REGIONPROPS = "scikit-image, measure.regionprops"


@dataclass(frozen=True, slots=True)
class Column:
    """One measurement of a cell.

    Parameters
    ----------
    name : str
        In tables and JSON, with its unit at the end.
    title : str
        What people read.
    formula : str
        How it is computed.
    source : str
        Who defined it.
    short : str
        The title where room is scarce, with the unit.
    qupath : str
        The name of the measurement in a file for QuPath, as QuPath spells its own.
    """

    name: str
    title: str
    formula: str
    source: str
    short: str
    qupath: str


COLUMNS = (
    Column(
        "nucleus_area_um2",
        "Nucleus, area, µm²",
        "pixels of the nucleus x (µm per px)²",
        REGIONPROPS,
        "Nucleus µm²",
        "Nucleus: Area µm^2",
    ),
    Column(
        "nucleus_perimeter_um",
        "Nucleus, perimeter, µm",
        "Crofton's formula in four directions x µm per px",
        f"{REGIONPROPS} (perimeter_crofton)",
        "Perimeter µm",
        "Nucleus: Perimeter µm",
    ),
    Column(
        "nucleus_equivalent_diameter_um",
        "Nucleus, equivalent diameter, µm",
        "diameter of a circle of the same area, √(4 area / π)",
        REGIONPROPS,
        "Diameter µm",
        "Nucleus: Equivalent diameter µm",
    ),
    Column(
        "nucleus_major_axis_um",
        "Nucleus, major axis, µm",
        "of the ellipse with the same second moments",
        REGIONPROPS,
        "Major axis µm",
        "Nucleus: Major axis µm",
    ),
    Column(
        "nucleus_minor_axis_um",
        "Nucleus, minor axis, µm",
        "of the ellipse with the same second moments",
        REGIONPROPS,
        "Minor axis µm",
        "Nucleus: Minor axis µm",
    ),
    Column(
        "nucleus_circularity",
        "Nucleus, circularity",
        "4 π area / perimeter², 1 for a circle",
        "Cox, A method of assigning numerical and percentage values to the degree of roundness, J. Paleontol. 1 (1927)",
        "Circularity",
        "Nucleus: Circularity",
    ),
    Column(
        "nucleus_solidity",
        "Nucleus, solidity",
        "area / area of the convex hull",
        REGIONPROPS,
        "Solidity",
        "Nucleus: Solidity",
    ),
    Column(
        "nucleus_eccentricity",
        "Nucleus, eccentricity",
        "√(1 - (minor / major axis)²)",
        REGIONPROPS,
        "Eccentricity",
        "Nucleus: Eccentricity",
    ),
    Column(
        "contour_irregularity",
        "Nucleus, contour irregularity",
        "standard deviation / mean of the distances of the contour from the centre, each as a share of the distance at "
        "which the ellipse with the same second moments has its edge; 0 for an ellipse",
        "ours",
        "Irregularity",
        "Nucleus: Contour irregularity",
    ),
    Column(
        "cell_area_um2",
        "Cell, area, µm²",
        "pixels inside the cytoplasm's ring x (µm per px)²",
        REGIONPROPS,
        "Cell µm²",
        "Cell: Area µm^2",
    ),
    Column(
        "nc_ratio",
        "N:C ratio",
        "area of the nucleus / area of the whole cell, 0 to 1",
        "as QuPath's Nucleus/Cell area ratio",
        "N:C",
        "Nucleus/Cell area ratio",
    ),
    Column(
        "nuclei_in_cytoplasm",
        "Nuclei in the cytoplasm",
        "annotated cells whose centre lies inside the ring",
        "ours",
        "Nuclei",
        "Cell: Nuclei",
    ),
    Column(
        "nucleus_od_mean",
        "Nucleus, mean optical density",
        "-log10(intensity / glass), mean of red, green and blue, mean over the nucleus",
        "law of Beer and Lambert",
        "OD mean",
        "Nucleus: OD mean",
    ),
    Column(
        "nucleus_od_sd",
        "Nucleus, SD of optical density",
        "standard deviation of the same",
        "law of Beer and Lambert",
        "OD SD",
        "Nucleus: OD std dev",
    ),
    Column(
        "nucleus_integrated_od_um2",
        "Nucleus, integrated optical density, µm²",
        "sum of the optical density over the nucleus x (µm per px)²",
        "law of Beer and Lambert",
        "OD sum µm²",
        "Nucleus: Integrated OD µm^2",
    ),
    *(
        Column(
            f"chromatin_{name}",
            f"Chromatin, {name}",
            f"Haralick's {name} of the optical density in 16 grey levels from 0 to 1.6, neighbours 0.25 µm apart, mean "
            "of four directions, pairs inside the nucleus",
            "Haralick et al., Textural features for image classification, IEEE Trans. SMC 3 (1973)",
            f"Chromatin {name}",
            f"Nucleus: Haralick {name}",
        )
        for name in ("contrast", "homogeneity", "entropy")
    ),
    Column(
        "focus",
        "Focus of the surroundings",
        "fine detail over coarser detail of the 128 µm around; out of focus below 0.3",
        "Pech-Pacheco et al. 2000; Lindeberg 1998",
        "Focus",
        "Nucleus: Focus",
    ),
)
"""Measurements of one cell; NaN where one cannot be had."""

MULTIPLE = Column(
    "nucleus_area_in_intermediate_nuclei",
    "Nucleus, area in intermediate nuclei",
    "area of the nucleus / median area of the slide's intermediate nuclei, of at least 20",
    "Nayar and Wilbur, The Bethesda System for Reporting Cervical Cytology, 3rd edition (2015)",
    "x intermediate",
    "Nucleus: Area in intermediate nuclei",
)
"""What depends on the slide's other cells, too, and is therefore never kept."""

TABLE_COLUMNS = (*COLUMNS, MULTIPLE)
"""All numbers of a cell, in the order of a table."""
