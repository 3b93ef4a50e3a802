import pytest

from cluster_worker.engine import prebuilt
from config.contract.settings import SettingError
from infra.settings import PROCESSORS, SIZES, load


def read(**context):
    return load({name: str(value) for name, value in context.items()}.get, {})


def test_a_size_gives_the_defaults_and_each_setting_overrides_one():
    assert read() == SIZES["small"]
    assert read(size="production", workers_max=3).broker_cluster is True
    assert read(size="production", workers_max=3).workers_max == 3


def test_context_goes_before_the_environment():
    environment = {"DIP_WORKERS_MAX": "5", "DIP_KEPT_DAYS": "3"}
    found = load({"workers_max": "4"}.get, environment)
    assert (found.workers_max, found.kept_days) == (4, 3)


def test_lists_and_truths_are_read():
    found = read(instance_types="c7i.xlarge, m7i.xlarge", is_kept="true")
    assert (found.instance_types, found.is_kept) == (("c7i.xlarge", "m7i.xlarge"), True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"size": "huge"}, "size: must be one of tiny, small, production, got 'huge'"),
        ({"workers_max": "many"}, "workers_max: must be a whole number, got 'many'"),
        ({"workers_max": "21"}, "workers_max: must lie between 1 and 20, got 21"),
        ({"is_kept": "yes"}, "is_kept: must be true or false, got 'yes'"),
        ({"broker_type": "mq.m5.large"}, "broker_type: must be one of mq.t3.micro, mq.m7g.medium"),
        ({"instance_types": "c7g.xlarge"}, "instance_types: the worker's image is for x86"),
        ({"instance_types": ""}, "instance_types: must name at least one"),
        (
            {"processors": "haswell"},
            "processors: must be one of x86-64-v3, x86-64-v4, got 'haswell'",
        ),
        ({"log_days": "31"}, "log_days: must be one of 1, 3, 5"),
        ({"egress": "none"}, "egress: must be one of auto, nat, endpoints, direct, got"),
        ({"domain": "a.example.org"}, "domain: needs a certificate as well"),
        ({"zones": "eu-central-1a"}, "zones: must name 2, got 'eu-central-1a'"),
        ({"zones": "eu-central-1a,b"}, "zones: must be names such as eu-central-1a, got 'b'"),
        (
            {"api_concurrency": "143", "broker_type": "mq.m7g.medium"},
            "api_concurrency: API and workers may open 301 connections, and a broker on "
            "mq.m7g.medium takes 300; set at most 142, or a larger broker_type",
        ),
        ({"size": "tiny", "workers_max": 2}, "workers_max: must be 1 where broker_type is host"),
        ({"size": "tiny", "egress": "nat"}, "egress: must be direct where broker_type is host"),
        (
            {"size": "tiny", "instance_types": "c6i.large,c7i.large"},
            "instance_types: must name one where broker_type is host, got c6i.large,c7i.large",
        ),
        ({"broker_cluster": "true"}, "broker_cluster: mq.t3.micro is for one host"),
        ({"alarm_mail": "ops"}, "alarm_mail: must be an address such as"),
        ({"trace_collector": "http://a:4318"}, "trace_collector: must be an address such as https"),
        ({"name": "Dip"}, "name: must be 2 to 20 of a-z"),
        ({"firewall_requests": "5"}, "firewall_requests: must be 0 or at least 10, got 5"),
        (
            {"domain": "a.example.org", "certificate": "arn:aws:acm:eu-west-1:1:certificate/a"},
            "certificate: must be the ARN of a certificate in us-east-1",
        ),
    ],
)
def test_what_cannot_be_deployed_is_one_sentence(given, sentence):
    with pytest.raises(SettingError) as caught:
        read(**given)
    assert str(caught.value).startswith(sentence)


def test_the_families_of_processors_are_those_that_a_worker_knows():
    assert tuple(prebuilt.FAMILIES) == PROCESSORS
