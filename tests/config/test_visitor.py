import pytest

from config.contract.visitor import Use, add_use, network_of, visitor_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        (" 198.51.100.7 ", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("somebody", ""),
    ],
)
def test_a_visitor_is_one_address_of_ipv4_or_one_network_of_ipv6(address, network):
    assert network_of(address) == network


def test_the_hash_of_an_address_depends_on_the_key_and_does_not_show_it():
    assert visitor_of("198.51.100.7", "a") == visitor_of("198.51.100.7", "a")
    assert visitor_of("198.51.100.7", "a") != visitor_of("198.51.100.7", "b")
    assert visitor_of("198.51.100.7", "a") != visitor_of("198.51.100.8", "a")
    assert len(visitor_of("", "")) == 16


def test_what_was_not_used_yet_is_nothing():
    assert Use.from_item(None) == Use(0, 0, 0)


def test_bytes_are_added_on_the_condition_that_they_fit():
    update = add_use("jobs", "v", 1_800_000_000_000, {"bytes": 30}, bytes_max=100)
    assert update["Key"] == {"pk": "visitor#v", "sk": "day#2027-01-15"}
    assert update["ExpressionAttributeValues"][":room"] == 70
    assert "ConditionExpression" not in add_use("jobs", "v", 1, {"bytes": 30})
