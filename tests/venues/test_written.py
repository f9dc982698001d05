"""What all venues read alike: volumes and rates that cannot be are refused, and answers find their requests."""

from __future__ import annotations

import pytest

from dope.venues._requests import KEPT, Requests
from dope.venues._written import amount, funding_rate, least, number, volume


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e15", "x"])
def test_a_volume_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        volume(text)
    with pytest.raises(ValueError):
        volume("1e14", 10.0)
    assert volume("2.5", 0.01) == 0.025 and volume(0) == 0.0


@pytest.mark.parametrize("text", ["1_0", " 1", "1 ", "\u0661", "1\u00a0", "\n1", "", "0x10"])
def test_what_only_python_reads_as_a_number_is_none(text: str) -> None:
    for read in (number, amount, funding_rate, least):
        with pytest.raises(ValueError):
            read(text)
    assert number("1e-3") == 0.001 and number("+1.5") == 1.5 and amount("0") == 0.0 and least(7) == 7.0


@pytest.mark.parametrize("text", ["1", "-1", "nan", "-inf", ""])
def test_a_funding_rate_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        funding_rate(text)
    assert funding_rate("-0.0003") == -0.0003


def test_an_answer_finds_its_request_on_its_own_connection_until_that_ends() -> None:
    requests = Requests()
    first, second = requests.new(1, ["a", "b"]), requests.new(2, ["c"])
    assert requests.of(1, first) == ("a", "b") and requests.of(1, str(first)) == ("a", "b")
    assert requests.of(2, first) == () and requests.of(1, None) == ()
    assert requests.pop(1, str(first)) == ("a", "b") and requests.pop(1, first) == ()
    requests.closed(2)
    assert requests.of(2, second) == ()


def test_of_requests_that_nobody_answers_the_newest_are_kept() -> None:
    requests = Requests()
    numbers = [requests.new(1, [str(n)]) for n in range(KEPT + 1)]
    assert requests.of(1, numbers[0]) == () and requests.of(1, numbers[1]) == ("1",) and requests.of(1, numbers[-1]) == (str(KEPT),)
