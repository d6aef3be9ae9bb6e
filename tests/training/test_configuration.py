import pytest

from triage_node.core.errors import ConfigurationRejected
from triage_node.training.configuration import read_configuration


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name = 'x'\nstepz = 3", "stepz"),
        ("name = 'x'\n[[encoder]]\nsteps = 3\nsice = 4", "sice"),
        ("name = 'x'\nlabels = 'slice'", "labels"),
        ("name = 'x'\nfolds = 1", "folds"),
        ("name = ", "TOML"),
        ("labels = 'sli'", "name"),
        ("name = 'x'\nfolds = 'five'", "folds: Input should be a valid integer.*.given: 'five'"),
        ("name = 'x'\n[[encoder]]\nsteps = 3\nbatch = -4", r"\[\[encoder\]\]: batch: .* 1 .given: -4"),
        ("name = 'x'\n[[encoder]]\nsteps = 3\nsize = 100", "size: .* multiple of 16"),
        ("name = 'x'\n[[encoder]]\nsteps = 3\npasted = 0.7\nphantom = 0.5", "shares of one batch"),
        ("name = 'x'\n[encoder]\nsteps = 3", "encoder must be a list of tables"),
        ("name = 'x'\npasted_of_member = 0.5", "pasted_of_member"),
        ("name = 'x'\n[architecture]\nbackbone = 'vit'", "backbone must be one of plain10, .* not 'vit'"),
        ("name = 'x'\n[architecture]\ninput_size = 512", "input_size must be 32 to 256"),
    ],
)
def test_a_wrong_configuration_names_what_is_wrong(tmp_path, text, named):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationRejected, match=named):
        read_configuration(path)


def test_the_shipped_configuration_can_be_read():
    from pathlib import Path

    import triage_node.training as package

    for path in (Path(package.__file__).parent / "configs").glob("*.toml"):
        assert read_configuration(path).text == path.read_text()
