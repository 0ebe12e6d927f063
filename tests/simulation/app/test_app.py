import pytest

from foedus.core.errors import Invalid
from foedus.simulation.app.app import Place, accepted, load


@pytest.fixture
def app_of(tmp_path):
    """The app in a file with this content."""

    def write(content, name=""):
        path = tmp_path / "mine.py"
        path.write_text(content)
        return load(Place.of(f"{path}{name}"))

    return write


def test_a_file_is_an_app_by_its_function_train(app_of):
    app = app_of("def train(model, settings): return 1\n")

    assert app.train({}, {}) == 1
    assert (app.data, app.evaluate, app.initial_model) == (None, None, None)


def test_an_object_with_a_method_train_brings_its_own_hooks(app_of):
    methods = "  def train(self, m, s): return 2\n  def data(self, i, n, rng): return i\n"

    app = app_of(f"class My:\n  settings = {{'a': 1}}\n{methods}my = My()\n", ":my")

    assert app.train({}, {}) == 2
    assert app.data(5, 9, None) == 5
    assert app.settings == {"a": 1}


@pytest.mark.parametrize("text", ["", ":f", "m:a-b", "nowhere.py"])
def test_what_is_no_place_of_an_app_is_refused(text):
    with pytest.raises(Invalid):
        Place.of(text)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("x = 1\n", "there is no 'train'"),
        ("train = 1\n", "is no function"),
        ("def train(model): pass\n", "takes model and settings"),
        ("def train(model, settings, rows): pass\n", "not 'rows'"),
        ("def train(model, settings): pass\ndata = 3\n", "'data'"),
        ("raise SystemExit\n", "failed:\n  File .*mine.py.*\n.*raise SystemExit\nSystemExit"),
        ("raise KeyboardInterrupt\n", "failed:\n(.*\n)*KeyboardInterrupt"),
        ("1 / 0\n", "failed:\n  File .*mine.py.*\n.*1 / 0\nZeroDivisionError"),
    ],
)
def test_what_is_wrong_with_an_app_is_said_before_anything_runs(app_of, content, told):
    with pytest.raises(Invalid, match=told):
        app_of(content)


def test_a_module_that_an_app_lacks_is_named_with_the_line_that_wants_it(app_of):
    with pytest.raises(Invalid) as refused:
        app_of("import math\nimport nothing_of_this_name\n")

    sentence, *where = refused.value.message.splitlines()
    assert sentence.endswith("mine.py needs the module 'nothing_of_this_name', which is not installed here:")
    assert where[0].endswith('mine.py", line 2, in <module>')
    assert [line.strip() for line in where[1:]] == ["import nothing_of_this_name"]


def test_an_app_that_is_no_module_is_named_in_a_sentence():
    with pytest.raises(Invalid, match=r"^there is no module 'nothing_of_this_name' to be found"):
        load(Place.of("nothing_of_this_name"))


def test_a_function_gets_what_it_names_and_nothing_else_is_made():
    offered = {"data": lambda: 1, "rng": lambda: 1 / 0}

    assert accepted(lambda model, settings, data: None, offered) == {"data": 1}
