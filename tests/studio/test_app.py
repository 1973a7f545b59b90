from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from starlette.testclient import TestClient

import dcgan
from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.app import STATIC_FOLDERS, create_app
from dcgan.studio.security import protect


def test_the_pages_are_small_and_load_nothing_from_other_sites():
    folders = [Path(dcgan.__file__).parent / folder for folder in STATIC_FOLDERS.values()]
    paths = [path for folder in folders for path in folder.iterdir()]
    assert len(paths) > 10
    assert sum(path.stat().st_size for path in paths) < 300_000
    for path in paths:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
        assert "http" not in text, path


def test_browsers_ask_whether_files_have_changed(client: TestClient):
    for path in ("/", "/studio.js", "/web/play.js", "/learn/en/blocks.md"):
        first = client.get(path)
        assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache"), path
        again = client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


def test_the_refusals_are_described(runs: Path):
    paths = create_app(runs).openapi()["paths"]
    reading, changing = paths["/api/runs"]["get"]["responses"], paths["/api/runs"]["post"]["responses"]
    assert {"403"} <= set(reading)
    assert {"403", "413", "415"} <= set(changing)
    assert any("503" in operation["responses"] for path in paths.values() for operation in path.values())


@pytest.mark.filterwarnings("ignore")
def test_no_request_causes_a_server_error(runs: Path, tmp_path: Path, started_commands: list[list[str]]):
    """Schemathesis against the OpenAPI description, behind the checks that answer some requests themselves."""
    app = create_app(runs, DataRoots((tmp_path,)))  # some requests make new sets there
    schema = schemathesis.openapi.from_asgi("/openapi.json", protect(app, hosts=["testserver"]))
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) == 26
    for operation in operations:

        @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def send(case: schemathesis.Case) -> None:
            if "name" in case.path_parameters:
                case.path_parameters["name"] = "small"  # otherwise every request ends at "there is no run"
            response = case.call()
            documented = case.operation.definition.raw["responses"]
            assert str(response.status_code) in documented, (response.status_code, response.content)
            if response.status_code >= 400:
                assert isinstance(response.json()["detail"], str)

        send()
