"""What somebody sees who waits for a training: plain lines here, since a test has no terminal."""

import json

import numpy as np
import pytest
from PIL import Image

from triage_node.core.errors import ConfigurationRejected
from triage_node.training.encoder_training import Progress
from triage_node.training.learning_curves import draw_learning_curves
from triage_node.training.output_folder import output_folder
from triage_node.training.progress import ProgressDisplay


class Clock:
    """Seconds that a test sets."""

    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def shown(capsys):
    clock, told = Clock(), []
    display = ProgressDisplay(clock)

    def show(now_s, job, step, steps, loss=float("nan")):
        clock.now_s = now_s
        display.show(Progress(job, "encoder 1", step, steps, loss))
        told.extend(capsys.readouterr().err.splitlines())
        return told

    return show


def test_a_job_that_goes_on_in_the_middle_tells_the_time_left_by_its_own_steps(shown):
    assert shown(0, "fold0", 901, 1000, 0.5) == ["fold0 encoder 1 901/1000 loss 0.500"]  # one report tells no pace
    assert shown(30, "fold0", 911, 1000, 0.4)[-1] == "fold0 encoder 1 911/1000 loss 0.400 0:04:27 left"


def test_a_part_without_a_loss_says_none(shown):
    assert shown(0, "data", 24, 24) == ["data encoder 1 24/24"]


def test_lines_come_now_and_then_and_at_the_end(shown):
    for step in range(1, 11):
        shown(step, "fold0", step, 10, 0.5)
    assert [line.split()[3] for line in shown(11, "fold1", 1, 10, 0.5)] == ["1/10", "10/10", "1/10"]


def test_bars_on_a_terminal_count_the_time_left_down(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    clock = Clock()
    display = ProgressDisplay(clock)
    with display:
        display.show(Progress("fold0", "encoder 1", 1, 101, 0.5))
        clock.now_s = 10.0
        display.show(Progress("fold0", "encoder 1", 11, 101, 0.5))
        clock.now_s = 40.0
    assert "0:01:00 left" in capsys.readouterr().err


def test_curves_of_every_job_are_drawn_whole_or_not_at_all(tmp_path):
    nothing = tmp_path / "nothing.json"
    draw_learning_curves({"fold0": nothing}, tmp_path / "curves.png")
    assert not any(tmp_path.iterdir())
    encoder = [{"phase": 0, "step": 10, "loss": 1.0, "validation_loss": 1.2}, {"phase": 1, "step": 5, "loss": 0.5}]
    (tmp_path / "curve.json").write_text(json.dumps({"encoder": encoder, "sequence": [{"step": 50, "loss": 1}]}))
    draw_learning_curves({"pretraining": tmp_path / "curve.json", "fold0": nothing}, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 10
    assert {each.name for each in tmp_path.iterdir()} == {"curve.json", "curves.png"}


def test_a_failed_command_leaves_no_empty_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "a/b"):
        raise KeyboardInterrupt
    assert not any(tmp_path.iterdir())


def test_what_a_failed_command_has_finished_is_kept(tmp_path):
    def write_and_fail():
        (tmp_path / "a/b/whole.txt").write_text("kept")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "a/b"):
        write_and_fail()
    assert (tmp_path / "a/b/whole.txt").is_file()


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigurationRejected, match="out cannot be made a folder"), output_folder(tmp_path / "out"):
        pass
