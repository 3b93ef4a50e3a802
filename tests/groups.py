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
    "infra/test_stack.py": "stack",
    "infra/test_stack_code.py": "stack",
    "infra/test_stack_grants.py": "stack",
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
    """Hand out the tests by groups."""

    def _split_scope(self, nodeid):
        return group_of(nodeid)
