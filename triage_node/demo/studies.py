"""The demo's made-up studies, and what must become of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoStudy:
    """One study to send.

    Attributes
    ----------
    name
        Goes into the patient's name and the study description.
    kind
        ``head``, ``body`` or ``head with a gap``.
    subtypes
        Kinds of blood in it.
    expected_state, expected_reason
        Where it must end, whatever the cascade says of a head.
    """

    name: str
    kind: str
    subtypes: tuple[str, ...]
    seed: int
    expected_state: str = "FORWARDED"
    expected_reason: str | None = None

    @property
    def accession_number(self) -> str:
        """How the study is found on the worklist."""
        return f"DEMO{self.seed:04}"


STUDIES = (
    DemoStudy("Subdural", "head", ("SDH",), 109),
    DemoStudy("Normal", "head", (), 102),
    DemoStudy("Parenchymal", "head", ("CPH", "IVH"), 103),
    DemoStudy("Body", "body", (), 104, "NOT_ANALYSED", "NOT_HEAD"),
    DemoStudy("Epidural", "head", ("EDH",), 105),
    DemoStudy("Gap", "head with a gap", ("SAH",), 106, "NOT_ANALYSED", "MISSING_SLICES"),
)


def write(study: DemoStudy, folder: Path) -> Path:
    """Make one study and write it as DICOM; return its folder."""
    from triage_node.phantom import make_body, make_head
    from triage_node.phantom.dicom_series import write_series

    volume = make_body(study.seed) if study.kind == "body" else make_head(study.seed, kinds=study.subtypes)
    target = folder / study.accession_number
    paths = write_series(
        volume,
        target,
        seed=study.seed,
        patient_name=f"Demo^{study.name}",
        patient_id=f"DEMO-{study.seed}",
        accession_number=study.accession_number,
    )
    if study.kind == "head with a gap":
        paths[len(paths) // 2].unlink()
    return target
