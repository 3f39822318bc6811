"""The service against its own OpenAPI: whatever is sent, the answer is one that it declares, and never a fault."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from campaigns import CAMPAIGNS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from servers import Server, error_of, running

from visagist.server.app import make_app
from visagist.server.settings import ServerSettings

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: pip install visagist[dev]")
pytestmark = pytest.mark.slow
SCHEMA = make_app(ServerSettings()).openapi()
OPERATIONS = [result.ok() for result in schemathesis.openapi.from_dict(SCHEMA).get_all_operations()]
FEW = settings(
    max_examples=12 if CAMPAIGNS else 4, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("--studio") as started:
        yield started


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_answers_are_as_declared(server: Server, operation) -> None:
    @FEW
    @given(case=operation.as_strategy())
    def check(case) -> None:
        response = case.call(base_url=server.address)
        declared = {int(status) for status in operation.definition.raw["responses"]} | {200}
        assert response.status_code in declared, (response.status_code, response.text)
        if response.status_code != 200:
            assert set(response.json()["error"]) == {"kind", "message", "request_id"}

    check()


def test_bytes_in_place_of_a_request_are_refused(server: Server) -> None:
    kinds = st.sampled_from(["application/json", "multipart/form-data; boundary=a", "text/plain", "", "multipart/form-data"])
    paths = st.sampled_from(["/v1/edit", "/v1/faces", "/v1/classify", "/studio/photographs", "/studio/sample"])

    @settings(FEW, max_examples=60 if CAMPAIGNS else 15)
    @given(path=paths, kind=kinds, body=st.binary(max_size=300) | st.just(b"--a\r\nContent-Disposition: x\r\n\r\n--a--"))
    def check(path: str, kind: str, body: bytes) -> None:
        response = server.post(path, content=body, headers={"Content-Type": kind})
        assert 400 <= response.status_code < 500, response.text
        assert error_of(response)["message"]

    check()


def test_the_description_has_examples_and_names_what_is_served() -> None:
    paths = set(SCHEMA["paths"])
    assert paths == {"/v1/edit", "/v1/faces", "/v1/classify", "/v1/models", "/healthz", "/readyz", "/metrics"}
    form = SCHEMA["paths"]["/v1/edit"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["set"]["example"] == ["Smiling=1"]
    assert set(SCHEMA["paths"]["/v1/edit"]["post"]["responses"]) >= {"200", "413", "415", "422", "503"}
