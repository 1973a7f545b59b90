import pytest
from jinja2 import Environment, UndefinedError

from dcgan import templates
from dcgan.templates import load_template, read_package_text


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let every template have the text `{{ value }} {{ data|tojson }} {{ trusted|safe }}`."""
    text = "{{ value }} {{ data|tojson }} {{ trusted|safe }}"
    monkeypatch.setattr(templates, "read_package_text", lambda package, *path: text)
    load_template.cache_clear()
    yield text
    load_template.cache_clear()


@pytest.mark.usefixtures("template")
def test_values_are_escaped_unless_the_template_trusts_them():
    text = load_template("dcgan", "page.html").render(value="<b>", data={"z": "</script>", "a": 1}, trusted="<i>")
    assert text == '&lt;b&gt; {"z": "\\u003c/script\\u003e", "a": 1} <i>'


@pytest.mark.usefixtures("template")
def test_a_missing_value_is_an_error():
    with pytest.raises(UndefinedError):
        load_template("dcgan", "page.html").render(value="1", data={})


@pytest.mark.parametrize("path", [("dcgan.reporting", "page.html"), ("dcgan.exporting", "static", "page.html")])
def test_the_templates_of_the_package_are_templates(path: tuple[str, ...]):
    assert "{{" in read_package_text(*path)
    Environment().parse(read_package_text(*path))
