"""The releases of an installation: put one beside the others, make one active, and go back.

In: ``model_weights/`` and release folders. Out: the same folder, changed whole or not at all. Whatever is added or activated
has passed every check that a worker makes when it starts, so that no change of release leaves a node that cannot read.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from triage_node.cascade.active_release import ACTIVE_NAME, active_names, write_active_names
from triage_node.cascade.runner import Cascade
from triage_node.cascade.self_test import run_self_test
from triage_node.cascade.weights import (
    CONFIGURATION_NAME,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    OPERATING_POINTS_NAME,
    REFERENCE_OUTPUT_NAME,
    Release,
    WeightsRejected,
    read_release,
    release_names,
)


def check_release(folder: Path) -> tuple[Release, float]:
    """Check a release as a worker does at its start, and that it has its model card.

    Returns
    -------
    release, and the largest difference of any logit from its reference output

    Raises
    ------
    WeightsRejected
        A file is missing or wrong, or this machine does not compute the reference output.
    """
    release = read_release(folder)
    if not (folder / MODEL_CARD_NAME).is_file():
        raise WeightsRejected(
            f"{folder / MODEL_CARD_NAME} is missing; nobody should use weights without it: restore it"
        )
    if not release.operating_points:
        raise WeightsRejected(
            f"{folder / OPERATING_POINTS_NAME} has no operating point; measure the release and write some"
        )
    point = next(iter(release.operating_points))
    return release, run_self_test(Cascade.load(folder, device="cpu", operating_point=point))


def activate(model_weights: Path, name: str) -> None:
    """Make a release the active one, after checking it; the second line remembers the one before, for ``rollback``.

    Raises
    ------
    WeightsRejected
        The release does not pass its checks; nothing is changed.
    """
    if name not in release_names(model_weights):
        raise WeightsRejected(
            f"{model_weights} has no release {name!r}; there are {', '.join(release_names(model_weights)) or 'none'}"
        )
    release, _ = check_release(model_weights / name)
    if release.name != name:
        raise WeightsRejected(
            f"{model_weights / name / MANIFEST_NAME} is of the release {release.name!r}: reports would name that one; "
            "give folder and manifest one name"
        )
    before = [each for each in _remembered(model_weights) if each != name]
    try:
        write_active_names(model_weights, [name, *before[:1]])
    except OSError as error:
        raise WeightsRejected(
            f"{model_weights / ACTIVE_NAME} cannot be written ({error}); run this as a user who may write there, or set "
            "weights_dir to a folder of your own"
        ) from error


def rollback(model_weights: Path) -> str:
    """Activate the release that was active before, and return its name.

    Raises
    ------
    WeightsRejected
        None was active before, or it no longer passes its checks.
    """
    names = _remembered(model_weights)
    if len(names) < 2:
        raise WeightsRejected(
            f"{model_weights / ACTIVE_NAME} remembers no release before the active one; "
            "use `triage-node weights activate NAME`"
        )
    activate(model_weights, names[1])
    return names[1]


def add_release(model_weights: Path, source: Path) -> str:
    """Copy a release beside the others after checking it, and return its name.

    Only the files that make a release are copied.

    Raises
    ------
    WeightsRejected
        It does not pass its checks, its name is no folder name, a release of that name is there already, or the copy
        cannot be written; nothing is left behind.
    """
    if not source.is_dir():
        raise WeightsRejected(f"{source} is no folder; name a release folder, as `triage-node train` writes it")
    release, _ = check_release(source)
    name = release.name
    if not _is_folder_name(name):
        raise WeightsRejected(
            f"{source / MANIFEST_NAME} has the name {name!r}, which is no folder name; rename the release"
        )
    if (model_weights / name).exists():
        raise WeightsRejected(f"{model_weights} has a release {name!r} already; give the new one another name")
    draft = model_weights / f".{name}.draft"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        described = (MANIFEST_NAME, OPERATING_POINTS_NAME, REFERENCE_OUTPUT_NAME, MODEL_CARD_NAME)
        trained_by = (CONFIGURATION_NAME,) if (source / CONFIGURATION_NAME).is_file() else ()
        for file in (*described, *trained_by, *(member for member, _ in release.members)):
            shutil.copy(source / file, draft / file)
        if read_release(draft).weights_sha256 != release.weights_sha256:
            raise WeightsRejected(f"{source} changed while it was copied; add it again when nobody writes to it")
        os.replace(draft, model_weights / name)
    except OSError as error:
        raise WeightsRejected(
            f"{model_weights} cannot take the release ({error}); make room, or run this as a user who may write there"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return name


def _is_folder_name(name: str) -> bool:
    """Whether a release may be called so: a folder of this name, shown, and on one line of ``active``."""
    one_line = bool(name) and name.isprintable() and name == name.strip()
    return one_line and Path(name).name == name and not name.startswith(".")


def _remembered(model_weights: Path) -> list[str]:
    """The names in ``active``; none where it is not there or cannot be read."""
    try:
        return active_names(model_weights)
    except (OSError, UnicodeDecodeError):
        return []
