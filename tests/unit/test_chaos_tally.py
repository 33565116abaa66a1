"""The tally of a campaign of kills: what it says of all runs, and that a later run goes on where one stopped."""

import pytest
from chaos.comparison import Difference
from chaos.striking import Outcome
from chaos.tally import Injection, Tally

from stream.errors import Misuse

EQUAL = Difference()
KILL, STORM = "SIGKILL of a chunker", "rebalance storm"


def injected(round_, fault, recovery_s=1.0, difference=EQUAL, stopped=()):
    return Injection(round_, fault, 30.0, Outcome(fault, "classic", difference, recovery_s, stopped))


def tally_of(*injections, path=None):
    tally = Tally(path, 5)
    tally.begin("abc")
    for one in injections:
        tally.add(one)
    return tally


def test_a_later_run_finds_what_an_earlier_one_did(tmp_path):
    wrong = injected(1, STORM, 7.25, Difference(lost=("a passage",)), ("chunker a",))
    failed = Injection(1, KILL, 2.0, None, "nobody died")
    tally_of(injected(0, KILL), wrong, failed, path=tmp_path / "tally")
    later = Tally(tmp_path / "tally")
    assert (later.seed, later.commits) == (5, ["abc"])
    assert later.injections == [injected(0, KILL), wrong, failed]
    assert later.done(1, KILL)
    assert not later.done(0, STORM)


def test_a_file_of_another_seed_is_refused(tmp_path):
    tally_of(path=tmp_path / "tally")
    assert Tally(tmp_path / "tally", 5).seed == 5
    with pytest.raises(Misuse, match="of seed 5, not of 6"):
        Tally(tmp_path / "tally", 6)


@pytest.mark.parametrize("said", ["precious", "precious\n", "[]\n", "{}\n"])
def test_a_file_that_is_no_campaign_is_left_alone(tmp_path, said):
    (tmp_path / "tally").write_text(said)
    with pytest.raises(Misuse, match="is no campaign"):
        Tally(tmp_path / "tally")
    assert (tmp_path / "tally").read_text() == said


def test_a_line_that_was_being_written_when_a_run_was_killed_is_no_outcome(tmp_path):
    path = tmp_path / "tally"
    tally_of(injected(0, KILL), injected(0, STORM), path=path)
    path.write_bytes(path.read_bytes()[:-20])
    later = Tally(path)
    assert later.injections == [injected(0, KILL)]
    later.add(injected(0, STORM, 9.0))
    assert Tally(path).injections == [injected(0, KILL), injected(0, STORM, 9.0)]


def test_it_sums_up_all_runs():
    tally = tally_of(injected(0, KILL), injected(1, KILL, 2.5, Difference(orphaned=("b", "c"))), injected(0, STORM))
    tally.begin("def")
    assert tally.sum() == (
        "2 faults, 3 injections in 2 minutes of 2 runs (abc, def), seed 5: 0 lost, 0 resurrected, 2 orphaned, "
        "0 duplicated; 0 not healed, 0 members stopped unasked"
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in tally.table().splitlines()]
    assert rows[2:] == [[KILL, "2", "0", "0", "2", "0", "2.5 s"], [STORM, "1", "0", "0", "0", "0", "1.0 s"]]


@pytest.mark.parametrize(
    "last",
    [
        injected(1, STORM, difference=Difference(duplicated=("d",))),
        injected(1, STORM, stopped=("embedder b",)),
        Injection(1, STORM, 2.0, None, "not healed"),
        injected(1, KILL),
    ],
    ids=["a difference", "a member that stopped", "a failure", "too seldom"],
)
def test_it_is_good_only_if_each_fault_bit_often_enough_and_nothing_was_wrong(last):
    before = (injected(0, KILL), injected(0, STORM), injected(1, KILL))
    assert tally_of(*before, injected(1, STORM)).good([KILL, STORM], 2)
    assert not tally_of(*before, last).good([KILL, STORM], 2)
