"""The templates of two sizes and of workers that share images, made once for all tests."""

import pytest

from tests.infra.template import Template


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    return Template(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def production(tmp_path_factory):
    return Template(
        tmp_path_factory.mktemp("production"),
        size="production",
        egress="endpoints",
        domain="images.example.org",
        certificate="arn:aws:acm:us-east-1:123456789012:certificate/0a1b",
        alarm_mail="ops@example.org",
        zones="eu-central-1b,eu-central-1c",
    )


@pytest.fixture(scope="session")
def sharing(tmp_path_factory):
    """Make the template of workers that share images."""
    collector = "https://traces.example.org"
    return Template(tmp_path_factory.mktemp("sharing"), hosts_max="2", trace_collector=collector)


@pytest.fixture(params=["small", "production", "sharing"])
def template(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def unwaived(tmp_path_factory):
    """Synthesise the small stack once more, without its waivers; return folder and waived rules."""
    from infra import rules

    folder, waived = tmp_path_factory.mktemp("unwaived"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "acknowledge", lambda *of: waived.extend(rules.waived(*of)))
        with pytest.raises(RuntimeError, match="wildcard permissions"):
            Template(folder)
    return folder, waived
