"""Coded terms: legal, and typed without a slip."""

from __future__ import annotations

import pytest
from highdicom.sr import CodedConcept
from pydicom.sr._concepts_dict import concepts

from triage_node.core.reason import Reason
from triage_node.core.report import Evaluation
from triage_node.evidence import codes

CONCEPTS = [
    *(each for each in vars(codes).values() if isinstance(each, CodedConcept)),
    *codes.FINDINGS.values(),
    *codes.EVALUATIONS.values(),
    *(codes.reason_code(each) for each in Reason),
]
MULTIPLY = [[(row + column) % 5 if column < 5 else 5 + (row + column) % 5 for column in range(10)] for row in range(5)]
MULTIPLY += [
    [5 + (row - column) % 5 if column < 5 else (row - column) % 5 for column in range(10)] for row in range(5, 10)
]
PERMUTE = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
PERMUTE += [[PERMUTE[1][each] for each in PERMUTE[1]]]
for _ in range(5):
    PERMUTE.append([PERMUTE[-1][PERMUTE[1][each]] for each in range(10)])


def has_verhoeff_digit(number: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = MULTIPLY[check][PERMUTE[place % 8][int(digit)]]
    return check == 0


@pytest.mark.parametrize("concept", [each for each in CONCEPTS if each.scheme_designator == "SCT"], ids=str)
def test_snomed_identifiers_have_their_check_digit(concept):
    assert has_verhoeff_digit(concept.value)


def test_check_digit_catches_a_slip():
    assert has_verhoeff_digit("21454007")
    assert not has_verhoeff_digit("21454070")


@pytest.mark.parametrize("concept", CONCEPTS, ids=str)
def test_meanings_and_schemes_fit_their_value_representations(concept):
    assert 0 < len(concept.meaning) <= 64
    assert 0 < len(concept.scheme_designator) <= 16
    assert concept.meaning.isascii()


def test_every_evaluation_has_a_code():
    assert set(codes.EVALUATIONS) == set(Evaluation)


def test_own_codes_are_unique_and_in_the_private_scheme():
    own = [each.value for each in CONCEPTS if each.scheme_designator == codes.PRIVATE_SCHEME]
    assert len(own) == len(set(own))
    assert codes.private_scheme().CodingSchemeDesignator == codes.PRIVATE_SCHEME


def meanings_in_the_standard(concept: CodedConcept) -> set[str]:
    by_keyword = concepts.get(concept.scheme_designator, {})
    return {each[concept.value][0] for each in by_keyword.values() if concept.value in each}


OF_THE_STANDARD = {
    name: concept
    for name, concept in vars(codes).items()
    if isinstance(concept, CodedConcept)
    and concept.scheme_designator != codes.PRIVATE_SCHEME
    and name
    not in ("CT_HEAD_WITHOUT_CONTRAST", "SLICES")  # LOINC and an annotation of UCUM: their sources stand beside them
}


@pytest.mark.parametrize("concept", OF_THE_STANDARD.values(), ids=OF_THE_STANDARD)
def test_code_is_that_of_the_dictionary_of_the_standard(concept):
    assert {concept.meaning, f"{concept.meaning} (attribute)"} & meanings_in_the_standard(concept)


@pytest.mark.parametrize("evaluation", Evaluation, ids=str)
def test_evaluation_is_that_of_the_dictionary_of_the_standard(evaluation):
    assert codes.EVALUATIONS[evaluation].meaning in meanings_in_the_standard(codes.EVALUATIONS[evaluation])


def test_present_and_absent_have_their_radlex_ids_beside_them():
    said = {each: [other.value for other in codes.equivalents(code)] for each, code in codes.EVALUATIONS.items()}
    assert said == {Evaluation.PRESENT: ["RID28472"], Evaluation.ABSENT: ["RID28473"], Evaluation.NOT_ASSESSED: []}
