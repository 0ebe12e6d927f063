import importlib.util
from dataclasses import fields

from tests.docs.pages import ROOT

from foedus.options import Settings


def script():
    spec = importlib.util.spec_from_file_location("settings_page", ROOT / "dev" / "settings_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_settings_is_current():
    assert script().PAGE.read_text("utf-8") == script().page(), "run python dev/settings_page.py"


def test_every_setting_and_no_other_has_a_meaning():
    assert script().MEANINGS.keys() == {field.name for field in fields(Settings)}
