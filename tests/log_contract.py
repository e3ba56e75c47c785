"""What every log must do, whichever engine keeps it: a class of tests to subclass."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuledger.ledger.chain import head_of
from gpuledger.ledger.errors import HeadMoved
from gpuledger.ledger.event import START, Head
from gpuledger.ledger.log import Log
from plain_log import ACTOR, draft, first_break


class LogContract:
    """Subclass it, and say how a log with its first event is made and opened."""

    def make(self, folder: Path) -> Log:
        """Make a log in `folder` that holds its first event."""
        raise NotImplementedError

    def open(self, folder: Path) -> Log:
        """Open the log in `folder` once more."""
        raise NotImplementedError

    def test_a_new_log_has_its_first_event(self, tmp_path: Path) -> None:
        """A log begins with seq 1, which links to nothing."""
        log = self.make(tmp_path)
        (event,) = log.read(0)
        assert event.seq == 1
        assert log.head() == head_of(event)
        log.close()

    def test_events_follow_each_other(self, tmp_path: Path) -> None:
        """What is appended is read back, in order of seq, linked, from any place to any other."""
        log = self.make(tmp_path)
        with log.turn() as turn:
            told = [turn.append(draft(n), turn.head) for n in range(5000)]
        assert list(log.read(1)) == told
        assert list(log.read(4321, 4324)) == told[4320:4323]
        assert list(log.read(5001)) == []
        assert first_break(log.read(0)) is None
        log.close()

    def test_a_turn_sees_what_it_appended(self, tmp_path: Path) -> None:
        """Inside a turn its own events are read, its head moves, and nobody else sees them."""
        log, other = self.make(tmp_path), self.open(tmp_path)
        with log.turn() as turn:
            before = turn.head
            event = turn.append(draft(1), before)
            assert turn.head == head_of(event)
            assert list(turn.read(1)) == [event]
            assert list(turn.read(0, 1)) == list(log.read(0))
            assert log.head() == other.head() == before
        assert log.head() == other.head() == head_of(event)
        log.close()
        other.close()

    def test_a_turn_that_raises_leaves_nothing(self, tmp_path: Path) -> None:
        """Events and stores' rows of a turn that raises are undone; the next turn goes on."""
        log = self.make(tmp_path)
        before = log.head()
        with pytest.raises(ZeroDivisionError), log.turn() as turn:  # noqa: PT012 (the point)
            turn.append(draft(1), turn.head)
            turn.connection.execute("CREATE TABLE mine (x)")
            raise ZeroDivisionError
        assert log.head() == before
        with log.turn() as turn:
            turn.connection.execute("CREATE TABLE mine (x)")
            turn.append(draft(2), turn.head)
        assert log.head().seq == 2
        log.close()

    def test_stores_rows_come_with_the_events(self, tmp_path: Path) -> None:
        """What a store writes in a turn is there with its events, also where none was appended."""
        log = self.make(tmp_path)
        with log.turn() as turn:
            turn.connection.execute("CREATE TABLE mine (x)")
        with log.turn() as turn:
            turn.append(draft(1), turn.head)
            turn.connection.execute("INSERT INTO mine VALUES (7)")
        with log.turn() as turn:
            assert turn.connection.execute("SELECT x FROM mine").fetchall() == [(7,)]
        log.close()

    def test_an_append_after_another_head_is_refused(self, tmp_path: Path) -> None:
        """An expected head that is not the head raises HeadMoved and appends nothing."""
        log = self.make(tmp_path)
        with log.turn() as turn:
            first = turn.head
            turn.append(draft(1), first)
            for wrong in (first, Head(2, bytes(32), 0), START):
                with pytest.raises(HeadMoved):
                    turn.append(draft(2), wrong)
        assert log.head().seq == 2
        log.close()

    def test_a_key_is_found_again(self, tmp_path: Path) -> None:
        """The event under a retry key is found by its actor and key, by nothing else."""
        log = self.make(tmp_path)
        with log.turn() as turn:
            turn.append(draft(1), turn.head)
            event = turn.append(draft(2, key="again"), turn.head)
            assert turn.find_key(ACTOR, "again") == event
        with log.turn() as turn:
            assert turn.find_key(ACTOR, "again") == event
            assert turn.find_key("uid:0", "again") is None
            assert turn.find_key(ACTOR, "other") is None
        log.close()

    def test_two_handles_append_in_turn(self, tmp_path: Path) -> None:
        """Handles that append alternately make one chain; each turn begins at the other's head."""
        logs = [self.make(tmp_path), self.open(tmp_path)]
        for number in range(20):
            with logs[number % 2].turn(10.0) as turn:
                assert turn.head.seq == number + 1
                turn.append(draft(number), turn.head)
        assert first_break(logs[0].read(0)) is None
        for log in logs:
            log.close()

    def test_a_turn_knows_the_time(self, tmp_path: Path) -> None:
        """The clock is read inside the turn, in microseconds UTC."""
        log = self.make(tmp_path)
        with log.turn() as turn:
            early = turn.now_us
        with log.turn() as turn:
            assert turn.now_us >= early > 1_700_000_000_000_000
        log.close()

    def test_a_closed_log_opens_again(self, tmp_path: Path) -> None:
        """A log that was closed may be read and written on; closing twice is nothing."""
        log = self.make(tmp_path)
        for number in range(3):
            with log.turn(last=number == 1) as turn:
                turn.append(draft(number), turn.head)
            assert log.head().seq == number + 2
            log.close()
        log.close()
