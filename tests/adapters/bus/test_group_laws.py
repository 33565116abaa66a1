"""The laws of ``Groups``, on memory and on a real broker."""

import time

from compose.waiting import wait_until
from stream.ports import Committed, Partition


def test_a_group_that_nobody_joined_has_no_members_and_is_gone_when_deleted(group_world):
    groups, group = group_world.groups(), group_world.name("group")
    assert groups.members(group) == 0
    assert groups.delete(group)
    assert groups.delete(group)


def test_members_are_counted_while_they_are_there(group_world):
    world, topic, group = group_world, group_world.topic(partitions=2), group_world.name("group")
    groups, first, second = world.groups(), world.reader(topic, group), world.reader(topic, group)
    first.until(lambda: first.poll() and second.poll() and groups.members(group) == 2, "both members")
    second.consumer.close()
    first.until(lambda: groups.members(group) == 1, "the one that stayed")
    first.consumer.close()
    # A client of the classic protocol does not wait for the broker's answer when it leaves.
    assert wait_until(lambda: groups.members(group) == 0, time.monotonic() + 30)


def test_a_group_with_members_is_not_deleted_and_keeps_its_offsets(group_world):
    world, topic, group = group_world, group_world.topic(), group_world.name("group")
    place = Partition(topic, 0)
    world.write(topic, b"1")
    reader = world.reader(topic, group)
    reader.until_values([b"1"])
    reader.consumer.commit({place: Committed(1, "kept")})
    assert not world.groups().delete(group)
    assert world.bus().topics().committed(group, [place]) == {place: Committed(1, "kept")}


def test_a_deleted_group_has_no_offsets_and_begins_anew(group_world):
    world, topic, group = group_world, group_world.topic(), group_world.name("group")
    place = Partition(topic, 0)
    world.write(topic, b"1", b"2")
    reader = world.reader(topic, group)
    reader.until_values([b"1", b"2"])
    reader.consumer.commit({place: Committed(2, "told")})
    reader.consumer.close()
    groups = world.groups()
    assert wait_until(lambda: groups.delete(group), time.monotonic() + 30)
    assert world.bus().topics().committed(group, [place]) == {}
    again = world.reader(topic, group)
    again.until_values([b"1", b"2"])
    assert again.committed == {}
