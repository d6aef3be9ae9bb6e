import numpy as np
import pytest

from triage_node.training.configuration import EncoderPhase, RunConfiguration
from triage_node.training.model_card import model_card
from triage_node.training.predictions import Predictions, SlicePredictions


@pytest.mark.parametrize(
    ("sources", "said", "unsaid"),
    [
        ({"ct-ich": {"scans": 9, "excluded": 0}}, "CT-ICH comes from one hospital", "left out"),
        ({"folder": {"scans": 9, "excluded": 3}}, "9 scans, 3 left out", "CT-ICH"),
        ({"cq500": {"scans": 9, "may_be_shipped": False}}, "do not ship with triage_node", "0.46 mm"),
    ],
)
def test_the_card_speaks_of_the_data_that_were_trained_on(sources, said, unsaid):
    labels = np.array([[1, 1, 0, 0, 0, 0], [0] * 6], dtype=np.float64)
    slices = SlicePredictions(np.arange(2), ("1", "2"), labels, labels)
    predicted = Predictions("small", ("A", "B"), ("0", "1"), labels, labels, slices)
    training = {"sources": sources, "subjects": 2, "subjects_with_blood": 1}
    phases = tuple(EncoderPhase(steps=1, phantom=share) for share in (0.25, 0.3, 0.3))
    card = model_card(RunConfiguration("small", encoder=phases), predicted, [], {}, training)
    assert "later they are 25%, then 30% of the slices" in card
    assert said in card
    assert unsaid not in card
