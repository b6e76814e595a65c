"""The queue of a coordinator."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from drnbench.session.items import ACTIVE, Item, Queue, State

MOVES = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(State)), max_size=20)


def item(key, rank):
    return Item(SimpleNamespace(key=key), key, None, rank, again=False)


@given(st.lists(st.integers(0, 2), min_size=6, max_size=6), MOVES)
def test_items_that_wait_stand_by_rank_and_those_that_run_by_key(ranks, moves):
    items = [item(str(n), (rank, 0)) for n, rank in enumerate(ranks)]
    queue = Queue(items)
    for n, state in moves:
        queue.move(items[n], state)
        assert [waiting.rank for waiting in queue.waiting] == sorted(i.rank for i in items if i.state is State.WAITING)
        assert {id(waiting) for waiting in queue.waiting} == {id(i) for i in items if i.state is State.WAITING}
        assert queue.active == {i.unit.key: i for i in items if i.state in ACTIVE}
        assert queue.running() == [i for i in queue.active.values() if i.state is not State.TAKEN_OVER]
        assert bool(queue) == any(i.state is State.WAITING or i.state in ACTIVE for i in items)
    queue.drop_waiting()
    assert not queue.waiting
    assert all((queue.get(i.unit.key) is not None) == (i.state is not State.WAITING) for i in items)
