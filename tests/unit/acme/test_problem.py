"""Problem documents."""

import pytest

from acmectl.acme.problem import Problem
from acmectl.identifiers import Identifier

URN = "urn:ietf:params:acme:error:"


def test_a_problem_with_subproblems_is_told_on_one_line_with_each_identifier():
    problem = Problem.from_json(
        {
            "type": URN + "compound",
            "detail": "Some were rejected",
            "subproblems": [
                {"type": URN + "dns", "detail": "no A record", "identifier": {"type": "dns", "value": "a.example"}},
                {"type": URN + "caa", "title": "CAA", "identifier": {"type": "ip", "value": "192.0.2.1"}},
            ],
        }
    )
    assert problem.describe() == "Some were rejected (a.example: no A record; 192.0.2.1: CAA)"
    assert problem.subproblems[0].identifier == Identifier.dns("a.example")
    assert [sub.code for sub in problem.subproblems] == ["dns", "caa"]


def test_title_and_detail_are_both_told():
    assert Problem.from_json({"title": "T", "detail": "D"}).describe() == "T :: D"


def test_a_problem_with_nothing_but_a_type_is_told_by_its_code():
    assert Problem.from_json({"type": URN + "badCSR"}).describe() == "badCSR"


def test_control_characters_never_reach_the_terminal():
    text = Problem.from_json({"type": "x\x1b[31m", "title": "a\nb", "detail": "c\x9bd\x07"}).describe()
    assert text == "a b :: c d"


def test_an_instance_that_is_not_https_is_dropped():
    assert Problem.from_json({"instance": "javascript:alert(1)"}).instance is None
    assert Problem.from_json({"instance": "https://ca.example/tos"}).instance == "https://ca.example/tos"


def test_subproblems_do_not_nest_and_are_bounded_when_told():
    inner = {"detail": "x", "subproblems": [{"detail": "deeper"}]}
    problem = Problem.from_json({"detail": "top", "subproblems": [inner] * 30})
    assert problem.subproblems[0].subproblems == ()
    assert problem.describe().endswith("and 10 more)")


@pytest.mark.parametrize(
    "value", [None, 5, "text", [], {"type": 5, "status": "x", "subproblems": 7}, {"identifier": "y"}]
)
def test_a_malformed_problem_is_still_a_problem(value):
    assert Problem.from_json(value).describe()
