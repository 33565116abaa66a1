"""How texts are cut into the batches that a device works on.

A batch is a rectangle of tokens: as many rows as texts, each padded to the longest. Its cost is that area, so texts
of like length belong together, and a budget bounds the area, not the count.

There is no timer here: what is cut is whatever arrived while the device was busy. A text that alone exceeds the
budget is admitted alone: it could never be done otherwise.
"""

from collections.abc import Sequence


def cut_by_tokens(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of ``lengths`` in batches: each index once, shortest texts first, equal ones in their order.

    A batch of n texts whose longest has L tokens costs n × L, which is at most ``budget`` unless n is 1.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Lengths rise, so the text that joins is the longest of its batch.
        if batches and (len(batches[-1]) + 1) * lengths[index] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
