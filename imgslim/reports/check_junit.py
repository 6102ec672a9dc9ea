"""The report of a check as a test report: JUnit XML, as Jenkins, GitLab and others read it.

GitLab shows a case under its ``classname``, so that is the image, without its tag: it tells cases
apart by both names, and these stay the same in the next run.
"""

from __future__ import annotations

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from imgslim import __version__
from imgslim.limits import Checked, Outcome
from imgslim.reports.check_words import excepted_of, name_of, reason_text, sentence_of, title_of
from imgslim.reports.words import printable

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def render_check(checked: Checked) -> str:
    """The document: a suite that is called like the image, with a case for each limit."""
    image = checked.image
    name = printable(image.reference)
    suite = TestSuite(name)
    suite.add_property("imgslim", __version__)
    suite.add_property("image", name)
    suite.add_property("id", image.image_id)
    suite.add_property("platform", printable(str(image.platform)))
    if checked.reference is not None:
        suite.add_property("against", printable(checked.reference.location))
    suite.add_testcases([_case(outcome, name_of(checked)) for outcome in checked.outcomes])
    document = JUnitXml("imgslim check")
    document.add_testsuite(suite)
    document.update_statistics()
    return f"{_HEAD}{document.tostring().decode('utf-8')}\n"


def _case(outcome: Outcome, image: str) -> TestCase:
    case = TestCase(outcome.rule, image)
    lines = [f"{title_of(outcome)}: {sentence_of(outcome)}"]
    if note := excepted_of(outcome):
        lines.append(note)
    if outcome.holds:
        case.system_out = "\n".join(lines)
    else:
        failure = Failure(lines[0], outcome.rule)
        failure.text = "\n".join([*lines, *map(reason_text, outcome.reasons)])
        case.result = [failure]
    return case
