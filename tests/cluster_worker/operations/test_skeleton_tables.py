"""Tables of skeletons: those of a graph that is walked pixel by pixel, whatever the tiles."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from skimage import data, draw, measure, morphology

from cluster_worker.errors import Rejected
from cluster_worker.operations.support import skeleton_graphs
from tests.cluster_worker.operations.test_measured_tables import SHAPE, assert_columns, tables

DIAGONAL = np.sqrt(2)


def pixel_graph(labels):
    """Return the graph of pixels of lines: no step over a corner that two over sides replace."""
    graph = nx.Graph()
    graph.add_nodes_from(map(tuple, np.argwhere(labels > 0).tolist()))
    for row, column in list(graph):
        for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
            other = row + down, column + across
            beside = ((row + down, column), (row, column + across))
            joined = [
                each
                for each in (other, *beside)
                if each in graph and labels[each] == labels[row, column]
            ]
            if joined == [other] or (other in joined and not (down and across)):
                graph.add_edge((row, column), other, aslant=bool(down and across))
    return graph


def walk(graph):
    """Yield the pixels of each branch, from one end to the other."""
    nodes = [each for each in graph if graph.degree(each) != 2]
    taken = set()
    for node in nodes:
        for step in graph[node]:
            if frozenset((node, step)) in taken:
                continue
            path = [node, step]
            while graph.degree(path[-1]) == 2:
                path.append(next(each for each in graph[path[-1]] if each != path[-2]))
            taken |= {frozenset(each) for each in pairwise(path)}
            yield path
    for part in list(nx.connected_components(graph)):
        if all(graph.degree(each) == 2 for each in part):
            first = min(part)
            path = [first, min(graph[first])]
            while path[-1] != first:
                path.append(next(each for each in graph[path[-1]] if each != path[-2]))
            yield path


def branch_of(graph, path):
    """Return the type, the length, and the ends in reading order, of a branch."""
    aslant = sum(graph.edges[each]["aslant"] for each in pairwise(path))
    length = len(path) - 1 - aslant + DIAGONAL * aslant
    start, end = sorted((path[0], path[-1]))
    kind = 3 if graph.degree(start) == 2 else 2 - sum(graph.degree(e) == 1 for e in (start, end))
    return kind, length, *start, *end


def mesh():
    """Return a mask of lines: nets, loose ends, rings, single pixels and lines over corners."""
    mask = morphology.skeletonize(data.retina()[500:570, 500:590, 1] < 60)
    mask[draw.circle_perimeter(20, 70, 12)] = True
    mask[draw.circle_perimeter(52, 12, 7)] = True
    mask[draw.line(2, 2, 66, 85)] = True
    mask[draw.line(60, 3, 5, 60)] = True
    mask[60:70, 80:] = False
    mask[62, 82:88] = mask[68, 1] = mask[0, 89] = True
    return morphology.skeletonize(mask)


def one_line():
    """Return one line that goes to and fro through the whole image."""
    mask = np.zeros(SHAPE, bool)
    mask[::4] = True
    for turn, row in enumerate(range(0, SHAPE[0] - 4, 4)):
        mask[row : row + 4, -1 if turn % 2 == 0 else 0] = True
    return mask


LINES = {
    "mesh": mesh,
    "binary": lambda: morphology.skeletonize(~data.horse()[40:110, 100:190]),
    "letters": lambda: morphology.thin(data.page()[20:90, 20:110] < 120),
    "checkerboard": lambda: np.indices(SHAPE).sum(0) % 2 == 0,
    "noise": lambda: morphology.skeletonize(np.random.default_rng(2).random(SHAPE) < 0.6),
    "empty": lambda: np.zeros(SHAPE, bool),
    "one line": one_line,
    "region": lambda: np.ones(SHAPE, bool),
}


@pytest.mark.parametrize("name", LINES)
def test_branches_equal_those_of_a_walk(name):
    mask = LINES[name]()
    graph = pixel_graph(mask.astype(int))
    expected = sorted(branch_of(graph, path) for path in walk(graph))
    numbers = measure.label(mask, connectivity=2)
    for table in tables(mask, "skeleton_branches"):
        columns = ("branch_type", "branch_distance", "row", "column", "end_row", "end_column")
        found = sorted(zip(*(table[each].tolist() for each in columns), strict=True))
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-15)
        np.testing.assert_array_equal(numbers[table["row"], table["column"]], table["skeleton"])
        apart = np.hypot(table["row"] - table["end_row"], table["column"] - table["end_column"])
        np.testing.assert_array_equal(table["euclidean_distance"], apart)
    if name == "one line":
        assert len(expected) == 1


def test_every_tiling_gives_the_same_rows_in_the_same_order():
    first, *others = tables(mesh(), "skeleton_branches")
    assert set(first["branch_type"].tolist()) == {0, 1, 2, 3}
    for table in others:
        assert_columns(table, first)


@pytest.mark.parametrize("labelled", [False, True])
def test_lengths_equal_those_of_a_walk(labelled):
    mask = mesh()
    regions = np.add(*np.floor_divide(np.indices(SHAPE), 30)).astype(np.uint16)
    owners = regions if labelled else measure.label(mask, connectivity=2)
    graph = pixel_graph(np.where(mask, owners, 0))
    rows = {}
    for path in walk(graph):
        rows.setdefault(owners[path[0]], []).append(branch_of(graph, path)[1])
    for table in tables(mask, "skeleton_lengths", {"labels": regions} if labelled else {}):
        found = owners[mask]
        assert table["label"].tolist() == np.unique(found[found > 0]).tolist()
        for at, label in enumerate(table["label"]):
            mine = [each for each in graph if owners[each] == label]
            branches = rows.get(label, [])
            assert table["pixels"][at] == len(mine)
            assert table["length"][at] == pytest.approx(sum(branches), rel=1e-15)
            assert table["longest_branch"][at] == pytest.approx(max(branches, default=0), rel=1e-15)
            assert table["branches"][at] == len(branches)
            assert table["ends"][at] == sum(graph.degree(each) == 1 for each in mine)
            assert table["junctions"][at] == sum(graph.degree(each) > 2 for each in mine)
            assert (table["row"][at], table["column"][at]) == min(mine)


def test_too_many_junctions_are_refused(monkeypatch):
    monkeypatch.setattr(skeleton_graphs, "NODES_MAX", 10)
    with pytest.raises(Rejected, match="takes at most 10 ends and junctions, got"):
        list(tables(mesh(), "skeleton_branches"))
