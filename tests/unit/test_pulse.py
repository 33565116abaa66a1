"""What the page is told of the stream is described by the interface as it is sent."""

import jsonschema
import pytest

from serving.limits import Limits
from serving.message_schemas import components
from serving.pulse import Behind, NoPulse, Signs, Throughput, UpgradeSide, Upgrading
from serving.request import RequestRules

BEFORE, AFTER = UpgradeSide("docs__a__g1", "a", "one", 7), UpgradeSide("docs__b__g1", "b", "two", None)


@pytest.mark.parametrize(
    "signs",
    [
        Signs(),
        NoPulse().now(),
        Signs(Behind(0, 3), Throughput(0.04, 12.3456)),
        Signs(Behind(None, None), None, Upgrading("chunking", "planned", 0.0, BEFORE, AFTER)),
        Signs(upgrade=Upgrading("rebuild", "cut over", 1.0, AFTER, BEFORE)),
    ],
)
def test_signs_are_sent_as_the_interface_describes_them(signs):
    described = components(RequestRules(), Limits(), None)["Index"]["properties"]
    told = signs.to_json()
    assert told.keys() == {"lag", "throughput", "upgrade"}
    for name, value in told.items():
        jsonschema.validate(value, described[name])


def test_shares_and_rates_are_rounded_for_people():
    signs = Signs(None, Throughput(0.04, 12.3456), Upgrading("encoding", "replaying", 1 / 3, BEFORE, AFTER))
    assert signs.to_json()["throughput"] == {"embedded_per_s": 0.0, "applied_per_s": 12.3}
    assert signs.to_json()["upgrade"]["done"] == 0.3333
