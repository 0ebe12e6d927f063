"""Projects that learn on a CUDA device, most of them federated."""

from dataclasses import replace

import numpy as np
import pytest
from tests.cupy_like import CupyLike
from tests.services.federation.conftest import frame, settle
from tests.services.statistics.conftest import Lab

from foedus.connectors.devices.cuda import CudaDevices
from foedus.faces.symetryml.rendering import project_info
from foedus.ports.devices import DeviceFails, NoDevice
from foedus.records.statistics.models import StatisticsProject
from foedus.services.statistics.errors import NotSupported
from foedus.services.statistics.reading import describe


@pytest.fixture
def cupy():
    return CupyLike()


@pytest.fixture
def on_device(site, cupy):
    def made(cid):
        node = site(cid)
        node.ports = replace(node.ports, devices=CudaDevices(lambda: cupy))
        return node

    return made


def test_a_node_learns_on_its_device_and_the_others_on_theirs(site, on_device, cupy, clock):
    admin = site("a").create()
    nodes = [admin.start(), on_device("b").join(admin, fed_local_type="GPU").start()]
    tried = cupy.calls["matmul"]

    nodes[0].learned(1)
    assert cupy.calls["matmul"] == tried
    nodes[1].learned(2)

    assert cupy.calls["matmul"] > tried + 1  # more than whether it computes
    settle(clock, nodes)
    assert nodes[0].answers().rows == nodes[1].answers().rows == 80
    np.testing.assert_array_equal(nodes[0].answers().view().comoment, nodes[1].answers().view().comoment)


def test_numbers_are_those_of_the_processor(site, on_device):
    theirs, ours = on_device("a").create(fed_local_type="gpu").learned(3), site("b").create(fed_name="other").learned(3)

    found, wanted = (each.kept(each.name).value.view() for each in (theirs, ours))
    np.testing.assert_allclose(found.comoment, wanted.comoment, rtol=1e-12)


def test_a_project_of_its_own_learns_on_a_device_too(site, on_device, cupy):
    lab = on_device("a")
    row = Lab.create(lab, kind="GPU")
    tried = cupy.calls["matmul"]

    lab.learn(frame(3), "p")

    assert cupy.calls["matmul"] > tried
    assert project_info(describe(lab.ports, row))["type"] == "gpu"
    with pytest.raises(NotSupported, match=r"no device.*say type=cpu"):
        Lab.create(site("b"), kind="gpu")


@pytest.mark.parametrize("devices", [0, "cudaErrorInsufficientDriver: CUDA driver version is insufficient"])
def test_without_a_device_none_is_made_and_the_reason_is_said(on_device, cupy, devices):
    cupy.devices = devices

    with pytest.raises(NotSupported, match=r"finds no CUDA device.*say fed_local_type=cpu"):
        on_device("a").create(fed_local_type="gpu")

    assert not StatisticsProject.objects.exists()


def test_a_node_that_joins_is_refused_as_well(site):
    admin = site("a").create()

    with pytest.raises(NotSupported, match="no device"):
        site("b").join(admin, fed_local_type="gpu")

    assert StatisticsProject.objects.count() == 1


def test_a_device_that_is_gone_is_not_replaced_by_the_processor(on_device, cupy):
    node = on_device("a").create(fed_local_type="gpu").learned(1)
    before = node.kept(node.name).value

    cupy.devices = 0
    for call in (node.learn, node.forget):
        with pytest.raises(NoDevice, match="finds no CUDA device"):
            call(frame(1), node.name)
    assert node.fresh(node.name).value == before

    cupy.devices = 1
    node.forget(frame(1), node.name)
    assert node.fresh(node.name).value.rows == 0


def test_a_device_that_fails_half_way_leaves_nothing_behind(on_device, cupy):
    node = on_device("a").create(fed_local_type="gpu")
    cupy.fail_at = cupy.calls["matmul"] + 3  # after the trial, within the products of the rows

    with pytest.raises(DeviceFails, match="nothing of these rows was learned"):
        node.learned(1)

    assert node.fresh(node.name).value.rows == 0
    assert node.learned(1).fresh(node.name).value.rows == 40
