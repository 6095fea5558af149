"""Which inference servers a device runs, and which of them holds a model."""

import pytest

from flip_agent.instances import Instances
from flip_agent.settings import InferenceSection, InstanceSection
from flip_runtime.errors import ConfigError


def section(**instances: InstanceSection) -> InferenceSection:
    return InferenceSection(instances=instances)


def test_without_any_there_is_one_that_holds_all() -> None:
    instances = Instances(InferenceSection(port=9000))
    assert instances.names == ["default"]
    assert instances.holder("digits") == "default"
    assert instances.settings("default").port == 9000


def test_each_holds_what_it_names_and_one_the_rest() -> None:
    vision, rest = InstanceSection(port=9000, models=["digits"]), InstanceSection(port=9001)
    instances = Instances(section(vision=vision, rest=rest))
    assert instances.names == ["vision", "rest"]
    assert (instances.holder("digits"), instances.holder("letters")) == ("vision", "rest")
    assert (instances.settings("vision").port, instances.settings("rest").port) == (9000, 9001)


@pytest.mark.parametrize(
    ("instances", "says"),
    [
        (section(a=InstanceSection(port=1, models=["m"]), b=InstanceSection(port=2, models=["m"])), "'a' and 'b' name"),
        (section(a=InstanceSection(port=1, models=["m"])), "none would hold"),
        (section(a=InstanceSection(port=1), b=InstanceSection(port=2)), "['a', 'b'] would hold"),
        (section(a=InstanceSection(port=1), b=InstanceSection(port=1, models=["m"])), "share port 1"),
        (section(a=InstanceSection(port=1), b=InstanceSection(port=1001, models=["m"])), "share port 1001"),
        (InferenceSection(instances={"A/b": InstanceSection(port=1)}), "no name"),
    ],
)
def test_what_would_leave_a_model_with_two_or_none_is_refused(instances: InferenceSection, says: str) -> None:
    with pytest.raises(ConfigError, match=r"inference\.instances") as refused:
        Instances(instances)
    assert says in str(refused.value)


def test_an_instance_that_is_not_configured_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no instance 'default' .*\['vision'\]"):
        Instances(section(vision=InstanceSection(port=9000))).settings("default")
