"""The small worlds of `make explore`: each shows another limit at work."""

from ops.explore.world import Plan

PLANS = (
    Plan("one extension"),
    Plan("two extensions", extids=("1", "2")),
    Plan("one line", extids=("1", "2"), max_open_calls=1, slot_wait_s=10.0),
    Plan("redials", on_unknown="redial"),
    Plan("an operator", acts=frozenset({"cancel", "redial", "pause"})),
    Plan("messages twice", doubles=True),
)
