"""Which tests share a process, so that they also share servers, worlds and results.

pytest-xdist 3.8 does not find its own marks `xdist_group` with pytest 9.2, and then hands out each
test by itself, without a word. So the groups are told from the tests' ids.
"""

from xdist.scheduler import LoadScopeScheduling

# The app takes half a minute of processor time to start, so tests of several files share one. The
# site's tests take longest, and have one of their own. Templates take seconds to synthesise.
SHARED = {
    "app/test_app.py": "app",
    "app/test_recipes.py": "app",
    "infra/test_app.py": "app",
    "infra/test_operator.py": "app",
    "infra/test_server.py": "app",
    "infra/test_stack.py": "stack",
    "infra/test_stack_code.py": "stack",
    "infra/test_stack_grants.py": "stack",
    "infra/test_stack_hosts.py": "stack",
    "infra/test_stack_tiny.py": "stack",
    "site/": "site",
    # It starts an app of its own.
    "site/test_states.py": "states",
}

# Long files whose tests share nothing but the results of an operation.
BY_OPERATION = ("test_catalogue.py", "test_footprints.py", "test_guarded.py", "test_statistics.py")


def group_of(nodeid):
    """Name the group of tests that run in one process, one after the other.

    A file's tests share its servers and worlds.
    """
    path, _, test = nodeid.removeprefix("tests/").partition("::")
    if path.endswith(BY_OPERATION):
        return f"{path} {test.partition('[')[2].rstrip(']') or test}"
    return SHARED.get(path) or SHARED.get(f"{path.partition('/')[0]}/") or path


class GroupScheduling(LoadScopeScheduling):
    """Hand out the tests by groups, and those of a process that died to the others."""

    def _split_scope(self, nodeid):
        return group_of(nodeid)

    def _reschedule(self, node):
        """Hand out groups until a process knows two tests: it begins one when it knows the next."""
        if node.shutting_down or node not in self.registered_collections:
            return
        while self.workqueue and self._pending_of(self.assigned_work[node]) < 2:
            self._assign_work_unit(node)
        if not self.workqueue:
            node.shutdown()

    def remove_node(self, node):
        """Put back what a process has not tested; return the test that it died in, if it did.

        pytest-xdist puts back finished groups too. A process that is given one of those has nothing
        to do, reports nothing, and the run never ends.
        """
        groups = self.assigned_work.pop(node)
        left = [test for group in groups.values() for test, done in group.items() if not done]
        if not left:
            return None
        for name, group in groups.items():
            again = dict.fromkeys((test for test in group if test in left[1:]), False)
            if again:
                self.workqueue[name] = again
        for each in self.nodes:
            self._reschedule(each)
        return left[0]
