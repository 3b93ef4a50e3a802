"""Where a job's time goes."""

import pytest

from cluster_worker.imagefiles.decoder_messages import cpu_seconds_of
from cluster_worker.timings import Spent, Timings


def test_what_a_stage_takes_is_added_up_even_where_it_fails():
    timings = Timings()
    timings.add("s3", Spent(1.0, 0.25))
    with pytest.raises(ValueError, match="no number"), timings.timed("s3"):
        int("no number")
    timings.add("encode", Spent(0.5, 0.5))
    spent = timings.spent["s3"]
    assert spent.seconds >= 1.0
    assert spent.cpu_seconds >= 0.25
    assert timings.as_log()["encode"] == {"seconds": 0.5, "cpu_seconds": 0.5}


@pytest.mark.parametrize("value", [None, "long", -1.0, float("inf"), float("nan"), True])
def test_what_a_child_says_of_its_work_is_not_believed_unless_it_is_a_time(value):
    assert cpu_seconds_of({"cpu_seconds": value}) == 0.0
    assert cpu_seconds_of({"cpu_seconds": 0.5}) == 0.5
