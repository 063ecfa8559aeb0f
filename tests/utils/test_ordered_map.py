"""Work on several items, in order."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from inceptorch.utils.ordered_map import ordered_map


def test_results_are_in_order_and_few_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    with ThreadPoolExecutor(4) as pool:
        results = ordered_map(pool, work, items(), 5)
        assert [next(results) for _ in range(10)] == [number * number for number in range(10)]
        assert len(taken) <= 15
        results.close()  # type: ignore[attr-defined]
    assert len(taken) <= 15
