"""What the declared space of coordinates allows to say about anatomy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MM_PER_UNIT = {"m": 1000.0, "cm": 10.0, "mm": 1.0}
"""``iEEGCoordinateUnits`` of BIDS; ``pixels`` and ``n/a`` give no millimetres."""

MNI305_TO_MNI152 = np.array(
    [
        [0.9975, -0.0073, 0.0176, -0.0429],
        [0.0146, 1.0009, -0.0024, 1.5496],
        [-0.0130, -0.0093, 0.9971, 1.1840],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""mm to mm: FreeSurfer's own transform, "Coordinate Systems" in its wiki, case 8b."""

FAMILIES = {
    "mni152": ("mni152", "icbm152", "ixi549"),
    "mni305": ("mni305", "mnicolin27", "fsaverage"),
    "scanner": ("scanras", "acpc", "t1w", "individual", "native"),
    "surface": ("tkras", "surfaceras"),
}
"""Prefixes of ``iEEGCoordinateSystem`` and of ``space-`` labels. Spaces of a family share their
axes to within a few millimetres; the last two are the participant's own: scanner coordinates of
the T1-weighted image and FreeSurfer's coordinates of its surfaces."""

_SIDED = ("mni", "icbm", "ixi549", "fsaverage", "fslr", "talairach", "acpc", "scanras")
"""Prefixes of spaces whose x axis points to the participant's right, placed in a family or not."""

_MIRRORED = "fsaveragesym"
"""Both hemispheres may be laid over each other there: x says nothing about the side."""
_UNDECLARED = ("", "n/a", "other", "pixels")


def family_of(space: str) -> str:
    """Family of a space; empty if nothing anatomical can be said from its coordinates.

    Talairach has no single transform to MNI (the label is used for several), fsaverageSym may
    mirror sides; ``Pixels``, ``Other`` and unknown labels say nothing.

    Examples
    --------
    >>> family_of("MNI152NLin2009aSym"), family_of("fsaverage"), family_of("Pixels")
    ('mni152', 'mni305', '')
    """
    low = space.lower()
    if low.startswith(_MIRRORED):
        return ""
    for family, prefixes in FAMILIES.items():
        if low.startswith(prefixes):
            return family
    return ""


def is_template(space: str) -> bool:
    """Whether coordinates may be drawn in a template brain: MNI152 or MNI305.

    Examples
    --------
    >>> [is_template(s) for s in ("fsaverage", "fsaverageSym", "Talairach", "ScanRAS")]
    [True, False, False, False]
    """
    return family_of(space) in ("mni152", "mni305")


def has_sides(space: str) -> bool:
    """Whether the sign of x says left (negative) or right.

    Examples
    --------
    >>> [has_sides(s) for s in ("fsaverage", "fsaverageSym", "Talairach", "ScanRAS")]
    [True, False, True, True]
    """
    low = space.lower()
    return low.startswith(_SIDED) and not low.startswith(_MIRRORED)


def has_distances(space: str, unit: str) -> bool:
    """Whether coordinates give distances between electrodes in the brain.

    ``Pixels`` and ``Other`` may be those of a picture, fsaverageSym may lay sides over each other.

    Parameters
    ----------
    space, unit : str
        ``iEEGCoordinateSystem``, and its unit in small letters.

    Examples
    --------
    >>> [has_distances(*said) for said in (("ACPC", "mm"), ("Other", "mm"), ("ACPC", "n/a"))]
    [True, False, False]
    """
    low = space.strip().lower()
    return unit in MM_PER_UNIT and low not in _UNDECLARED and not low.startswith(_MIRRORED)


def moved(xyz_mm: NDArray[np.float64], source: str, target: str) -> NDArray[np.float64] | None:
    """Coordinates of one family in another.

    Parameters
    ----------
    xyz_mm : ndarray of shape (n, 3)
    source, target : str
        Families, see :func:`family_of`.

    Returns
    -------
    ndarray of shape (n, 3) or None
        None where no transform is known.
    """
    if not source or not target:
        return None
    if source == target:
        return xyz_mm
    if (source, target) == ("mni305", "mni152"):
        return apply_affine(MNI305_TO_MNI152, xyz_mm)
    if (source, target) == ("mni152", "mni305"):
        return apply_affine(np.linalg.inv(MNI305_TO_MNI152), xyz_mm)
    return None


def apply_affine(
    affine: NDArray[np.floating], points: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Points (n, 3) through an affine (4, 4)."""
    return np.asarray(points @ affine[:3, :3].T + affine[:3, 3], dtype=np.float64)
