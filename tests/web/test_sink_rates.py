"""How fast sinks take what there is."""

from streamer.web.sink_rates import SPAN_SECONDS, Rates


def test_a_rate_is_known_from_the_second_look_on() -> None:
    rates = Rates()
    assert rates.of({"a": 100.0}, 10.0) == {"a": 0.0}
    assert rates.of({"a": 150.0, "b": 4.0}, 20.0) == {"a": 5.0, "b": 0.4}


def test_what_was_long_ago_counts_no_more() -> None:
    rates = Rates()
    for second in range(0, 120, 2):
        told = rates.of({"a": float(min(second, 60) * 10)}, float(second))
    assert told == {"a": 0.0}
    assert SPAN_SECONDS < 58
