"""These tests talk to real servers on this machine, and so need the plugin that starts them."""

import pytest

pytest.register_assert_rewrite("tests.contracts")


def pytest_configure(config):
    config.pluginmanager.import_plugin("tests.servers.fixtures")
