"""What the demo prints: plain lines in a log, a bar on a terminal, and no document taken for markup."""

import io

from rich.console import Console

from compose.demo.narration import Narrator


def spoken(say, *, terminal=False, width=80):
    file = io.StringIO()
    say(Narrator(Console(file=file, force_terminal=terminal, width=width, color_system=None)))
    return file.getvalue()


def test_steps_are_numbered_and_lines_stand_below_them():
    def say(narrator):
        narrator.step("First")
        narrator.say("a line")
        narrator.row("Kafka", "127.0.0.1:9092")
        narrator.step("Second")

    assert spoken(say) == "\n1  First\n   a line\n   Kafka        127.0.0.1:9092\n\n2  Second\n"


def test_markup_in_a_document_is_shown_as_it_stands():
    said = spoken(lambda narrator: narrator.hit("0.5  docs/a", "[bold]x[/bold] [/] :smile: a[0]"))
    assert "[bold]x[/bold] [/] :smile: a[0]" in said


def test_a_long_passage_is_cut_to_two_lines_and_says_so():
    said = spoken(lambda narrator: narrator.hit("0.5  docs/a", "word " * 200), terminal=True, width=70)
    passage = said.splitlines()[1:]
    assert len(passage) == 2
    assert passage[1].endswith("…")
    assert all(len(line) <= 70 for line in passage)


def test_in_a_log_progress_is_told_at_every_quarter():
    def say(narrator):
        with narrator.working("embedding", 8) as bar:
            for done in range(9):
                bar.reach(done, f"{done} of 8")

    assert spoken(say) == ("   embedding 25 %  2 of 8\n   embedding 50 %  4 of 8\n   embedding 75 %  6 of 8\n")


def test_in_a_log_work_of_unknown_length_says_nothing():
    def say(narrator):
        with narrator.working("starting") as bar:
            bar.reach(0, "a server")

    assert not spoken(say)


def test_on_a_terminal_there_is_a_bar_and_it_goes_away():
    def say(narrator):
        with narrator.working("embedding", 8) as bar:
            bar.reach(4, "4 of 8 [x]")

    said = spoken(say, terminal=True, width=120)
    assert "embedding" in said
    assert "50%" in said
    assert said.endswith("\x1b[2K")
