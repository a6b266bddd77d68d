"""A run of pages in one thread: the budget is asked before each, a failure is dealt with where all are."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from qmterm.market.rest.paging import PageRun, next_page


class Vendor:
    """Answers page after page; what stands in `broken` is raised once, in place of that page."""

    client = None

    def __init__(self, bodies, broken=()):
        self.bodies, self.broken, self.asked = bodies, dict(broken), []

    def follow(self, url):
        page = int(url)
        self.asked.append(page)
        if page in self.broken:
            raise self.broken.pop(page)
        return self.bodies[page]


def pages(count):
    return [b'{"results":[],"next_url":"%d"}' % (n + 1) for n in range(count - 1)] + [b'{"results":[]}']


@pytest.fixture
def reader():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def run_of(vendor, reader, more=lambda: True, most=100):
    return PageRun("prices", lambda _: Answer(vendor.follow("0")), bytes, reader, more, most)


class Answer:
    def __init__(self, data):
        self.data = data


def read(run):
    return [future.result() for future in run.reading]


def test_all_pages_come_in_order_from_one_call(reader):
    vendor = Vendor(pages(7))
    run = run_of(vendor, reader)
    run(vendor)
    assert run.over
    assert run.is_complete
    assert read(run) == vendor.bodies


def test_without_budget_each_page_is_a_call_of_its_own(reader):
    vendor = Vendor(pages(3))
    run = run_of(vendor, reader, more=lambda: False)
    calls = 0
    while not run.over:
        assert run.where == ("prices" if calls == 0 else f"prices (page {calls + 1})")
        run(vendor)
        calls += 1
    assert calls == 3


def test_a_page_that_fails_in_the_middle_is_the_next_calls_failure_and_no_page_is_asked_twice(reader):
    vendor = Vendor(pages(5), broken={3: OSError("reset")})
    run = run_of(vendor, reader)
    run(vendor)  # has three good pages: it does not fail
    assert not run.over
    assert run.where == "prices (page 4)"
    with pytest.raises(OSError, match="reset"):
        run(vendor)
    assert vendor.asked == [0, 1, 2, 3]  # the failure was kept: the server was not asked again behind our back
    run(vendor)
    assert vendor.asked == [0, 1, 2, 3, 3, 4]
    assert read(run) == vendor.bodies


def test_no_more_pages_than_wanted(reader):
    vendor = Vendor(pages(5))
    run = run_of(vendor, reader, most=2)
    run(vendor)
    assert vendor.asked == [0, 1]
    assert run.over
    assert not run.is_complete


def test_a_last_page_that_was_cut_off_is_fetched_again_and_the_rest_after_it(reader):
    whole = pages(4)
    vendor = Vendor([whole[0], b'{"resu', *whole[2:]])
    run = run_of(vendor, reader)
    run(vendor)
    assert run.over
    assert run.is_complete
    run.reading.pop()
    vendor.bodies = whole
    assert run.read_the_last_again()
    run(vendor)
    assert vendor.asked == [0, 1, 1, 2, 3]
    assert read(run) == whole


def test_a_page_that_stays_wrong_is_not_fetched_for_ever(reader):
    vendor = Vendor([b'{"results":7}'])
    run = run_of(vendor, reader)
    run(vendor)
    assert run.read_the_last_again()
    run(vendor)
    assert not run.read_the_last_again()


def test_the_next_page_is_found_only_where_a_key_stands():
    assert next_page(rb'{"a":"\"next_url\":\"x\"","next_url":"https:\/\/h\/p"}') == "https://h/p"
    assert next_page(rb'{"results":[{"a":"\"next_url\":\"x\""}]}') is None
