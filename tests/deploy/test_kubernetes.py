"""The charts and the example for Kubernetes, as far as no cluster is needed.

helm renders them, and our command line and our agent.toml take what is in them.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from aditus import __version__
from aditus.cli.main import root
from aditus.config.agent_file import read_agent_file
from aditus.domain.spec import parse_spec
from aditus.wiring.serve import DRAIN_SECONDS
from tests.deploy.image import last
from tests.deploy.objects import (
    CHARTS,
    EXAMPLE,
    KUBERNETES,
    Case,
    Object,
    aditus,
    cases,
    containers,
    helm,
    of_kind,
    options,
    parsed,
    rendered,
    template,
    template_of,
)

CASES = list(cases())
SERVER, AGENT = "aditus-server", "aditus-agent"
SMALLEST_SERVER = "publicUrls: [wss://relay.example.com]\n"
SMALLEST_AGENT = (
    "accessKey: {secret: a}\nspecs: [5432:db:5432]\nconnectUrls: [wss://relay.example.com/connect/4gT0]\n"
)

charted = pytest.mark.parametrize("case", CASES, ids=str)
everywhere = pytest.mark.parametrize("case", [*CASES, None], ids=lambda case: str(case or EXAMPLE.stem))


def objects(case: Case | None) -> list[Object]:
    """Of a chart, or of the example (None)."""
    return parsed(EXAMPLE.read_text()) if case is None else rendered(case.chart, case.values)


def understood(words: list[str]) -> None:
    """Our own command line understands it."""
    name, *rest = words
    command = root.get_command(click.Context(root), name)
    assert command, name
    command.make_context(name, list(rest))


# --- the charts -------------------------------------------------------------------------------


def test_each_chart_is_of_this_version_and_the_example_has_images_of_it() -> None:
    for chart in (SERVER, AGENT):
        about = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())
        assert (about["name"], about["appVersion"]) == (chart, __version__)
    assert aditus(template_of(objects(None)))["image"] == f"aditus-sidecar:{__version__}"


@pytest.mark.parametrize("chart", [SERVER, AGENT])
def test_values_are_those_of_the_schema_and_each_has_a_word_said_about_it(chart: str) -> None:
    text = (CHARTS / chart / "values.yaml").read_text()
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())

    def compared(values: dict[str, Any], allowed: dict[str, Any]) -> None:
        known = schema["definitions"][allowed["$ref"].rpartition("/")[2]] if "$ref" in allowed else allowed
        if known.get("additionalProperties") is not False:
            return  # Kubernetes' own, passed on
        assert values.keys() == known["properties"].keys() - {"global"}
        for name, value in values.items():
            if isinstance(value, dict):
                compared(value, known["properties"][name])

    compared(yaml.safe_load(text), schema)
    passed_on = {"resources", "podAnnotations", "nodeSelector", "tolerations"}
    for said, name in re.findall(r"(?:^|\n)(.*)\n(\w+):", text):
        inner = text.partition(f"\n{name}:\n")[2].partition("\n\n")[0]
        assert said.startswith("#") or "#" in inner or name in passed_on, f"nothing is said about {name}"


@pytest.mark.needs("helm")
@charted
def test_helm_finds_nothing_wrong_with_a_chart(case: Case) -> None:
    linted = helm(
        "lint", "--strict", f"--kube-version={KUBERNETES}", "-f", "-", str(CHARTS / case.chart),
        stdin=case.values,
    )  # fmt: skip
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "[WARNING]" not in linted.stdout


@pytest.mark.needs("helm")
@pytest.mark.parametrize(
    ("chart", "values", "said"),
    [
        (SERVER, "", "/publicUrls"),
        (SERVER, "publicUrls: [http://relay.example.com]", "/publicUrls/0"),
        (SERVER, f"{SMALLEST_SERVER}replica: 2", "replica"),
        (SERVER, f"{SMALLEST_SERVER}region: EU", "/region"),
        (SERVER, f"{SMALLEST_SERVER}appPorts: [443]", "/appPorts/0"),
        (SERVER, f"{SMALLEST_SERVER}appPorts: [8443]", "/appPorts/0"),
        (SERVER, f"{SMALLEST_SERVER}database: {{url: 'postgresql://a:b@c/d'}}", "url"),
        (SERVER, f"{SMALLEST_SERVER}replicas: 2", "database.secret"),
        (SERVER, f"{SMALLEST_SERVER}replicas: 2\ndatabase: {{secret: a}}", "tls.secret"),
        (
            SERVER,
            f"{SMALLEST_SERVER}replicas: 2\ndatabase: {{secret: a}}\ntls: {{secret: b}}\nappPorts: [5432]",
            "appPorts",
        ),
        (
            SERVER,
            f"{SMALLEST_SERVER}relay: {{service: {{externalTrafficPolicy: Local}}}}",
            "relay.service.type",
        ),
        (AGENT, "specs: [5432:db:5432]\nrelay: wss://relay.example.com", "/accessKey/secret"),
        (AGENT, "accessKey: {secret: a}\nrelay: wss://relay.example.com", "specs"),
        (AGENT, "accessKey: {secret: a}\nspecs: [5432:db:5432]", "connectUrls"),
        (AGENT, f"{SMALLEST_AGENT}accessKey: {{secret: a, value: adt_local_x}}", "value"),
        (AGENT, f"{SMALLEST_AGENT}proxy: http://user:word@proxy", "/proxy"),
        (AGENT, f"{SMALLEST_AGENT}links: 5", "/links"),
        (AGENT, f"{SMALLEST_AGENT}ca: {{pem: -----BEGIN PRIVATE KEY-----}}", "/ca/pem"),
        (AGENT, f"{SMALLEST_AGENT}ca: {{pem: -----BEGIN CERTIFICATE-----, configMap: a}}", "ca.configMap"),
    ],
)
def test_values_that_cannot_be_right_are_refused_by_name(chart: str, values: str, said: str) -> None:
    distinct = yaml.dump(yaml.safe_load(values))  # of what is there twice, the last
    answer = template(chart, distinct)
    assert answer.returncode != 0, answer.stdout
    assert said in answer.stderr


# --- what runs in a pod -----------------------------------------------------------------------


@pytest.mark.needs("helm")
@everywhere
def test_what_a_pod_runs_and_asks_itself_is_understood(case: Case | None) -> None:
    ours = aditus(template_of(objects(case)))
    assert "command" not in ours, "the image's own: aditus"
    understood(ours["args"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if "exec" in ours[probe]:
            program, *words = ours[probe]["exec"]["command"]
            assert program == "aditus"
            understood(words)


@pytest.mark.needs("helm")
@everywhere
def test_probes_services_and_policies_lead_to_ports_that_are_there(case: Case | None) -> None:
    found = objects(case)
    pod = template_of(found)
    ours = aditus(pod)
    ports = {one["name"]: one["containerPort"] for one in ours["ports"]}
    assert all(len(name) <= 15 for name in ports), "no longer ones there"
    listening = {
        int(word.rpartition(":")[2])
        for word in ours["args"]
        if re.match(r"--(api|relay|metrics|health)-li", word)
    }
    assert {port for name, port in ports.items() if not name.startswith("app-")} == listening
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if "httpGet" in ours[probe]:
            assert ours[probe]["httpGet"]["port"] in ports
        else:
            asked = re.search(r":(\d+)/", ours[probe]["exec"]["command"][-1])
            assert asked
            assert int(asked[1]) in ports.values()
    labels = pod["metadata"]["labels"].items()
    for service in of_kind(found, "Service"):
        assert service["spec"]["selector"].items() <= labels
        assert {one["targetPort"] for one in service["spec"]["ports"]} <= ports.keys()
    for policy in of_kind(found, "NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
        open_to_some = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert {ports.get(port, port) for port in open_to_some} == set(ports.values())
    for budget in of_kind(found, "PodDisruptionBudget"):
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels


@pytest.mark.needs("helm")
@everywhere
def test_every_container_has_as_little_as_it_can_do_with(case: Case | None) -> None:
    spec = template_of(objects(case))["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # a Service called aditus would make variables
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    whole = spec["securityContext"]
    user, group = map(int, last("agent", "USER").split(":"))
    assert (whole["runAsNonRoot"], whole["runAsUser"], whole["runAsGroup"]) == (True, user, group)
    assert whole["fsGroup"] == group
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in containers({"spec": spec}):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert one["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in one["resources"]["limits"]


@pytest.mark.needs("helm")
@everywhere
def test_no_image_names_a_registry(case: Case | None) -> None:
    for one in containers(template_of(objects(case))):
        assert re.fullmatch(r"[a-z-]+:[\w.]+", one["image"])


@pytest.mark.needs("helm")
@everywhere
def test_no_secret_is_in_an_object_and_none_comes_by_argument_or_environment(case: Case | None) -> None:
    found = objects(case)
    assert not of_kind(found, "Secret")  # they are made by whoever has the secrets, and named
    assert not re.search(r"adt[ap]?_\w|PRIVATE KEY|://[^/\s\"]*:[^/\s\"]*@", json.dumps(found))
    ours = aditus(template_of(found))
    assert {one["name"] for one in ours.get("env", [])} <= {"CREDENTIALS_DIRECTORY"}
    assert "envFrom" not in ours
    for words in ours["args"]:
        assert not re.match(r"(-a|--access-?key|--accessKey)(=|$)", words)


@pytest.mark.needs("helm")
@everywhere
def test_every_file_that_is_named_is_mounted_and_every_volume_is_used(case: Case | None) -> None:
    found = objects(case)
    spec = template_of(found)["spec"]
    claims = [claim for one in of_kind(found, "StatefulSet") for claim in one["spec"]["volumeClaimTemplates"]]
    volumes = {one["name"]: one for one in spec["volumes"]}
    ours = aditus({"spec": spec})
    mounts = {one["mountPath"]: one["name"] for one in ours["volumeMounts"]}
    assert set(mounts.values()) == volumes.keys() | {claim["metadata"]["name"] for claim in claims}
    for other in containers({"spec": spec}):
        assert other is ours or "volumeMounts" not in other, "the secret is the sidecar's alone"

    assert all("subPath" not in one for one in ours["volumeMounts"]), "it would not follow changes"
    named = [word.partition("=")[2] for word in ours["args"] if "=/" in word]
    for config in of_kind(found, "ConfigMap"):
        options_ = tomllib.loads(config["data"]["agent.toml"])
        named += [value for value in options_.values() if isinstance(value, str) and value.startswith("/")]
        held = {f"/etc/aditus/{name}" for name in config["data"]}
        assert {path for path in named if path.startswith("/etc/aditus/")} == held
    assert named
    for path in named:
        folder = path if path in mounts else path.rpartition("/")[0]
        volume = volumes.get(mounts[folder], {})
        source = volume.get("secret", volume.get("configMap", {}))
        items = {item["path"] for item in source.get("items", [])}
        assert not items or path.rpartition("/")[2] in items
    for volume in volumes.values():
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440, "for the group of the pod, and nobody else"


# --- the server -------------------------------------------------------------------------------


@pytest.mark.needs("helm")
def test_a_server_has_no_listeners_for_apps_unless_their_ports_are_named() -> None:
    [served] = options(aditus(template_of(rendered(SERVER, SMALLEST_SERVER))), "--app-listen")
    assert served == "off"
    found = rendered(SERVER, f"{SMALLEST_SERVER}appPorts: [5432]")
    assert options(aditus(template_of(found)), "--app-listen") == ["0.0.0.0"]
    assert [one["metadata"]["name"] for one in of_kind(found, "Service")].count("aditus-server-apps") == 1


@pytest.mark.needs("helm")
def test_a_server_may_dial_its_database_and_nothing_else() -> None:
    [alone] = of_kind(rendered(SERVER, SMALLEST_SERVER), "NetworkPolicy")
    assert (alone["spec"]["policyTypes"], alone["spec"]["egress"]) == (["Ingress", "Egress"], [])
    with_database = f"{SMALLEST_SERVER}database: {{secret: a, port: 6432}}"
    [policy] = of_kind(rendered(SERVER, with_database), "NetworkPolicy")
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53, 6432}


@pytest.mark.needs("helm")
def test_a_server_has_the_time_that_it_takes_to_stop() -> None:
    pod = template_of(rendered(SERVER, SMALLEST_SERVER))
    seconds = int(aditus(pod)["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["spec"]["terminationGracePeriodSeconds"] > seconds + DRAIN_SECONDS + 5


@pytest.mark.needs("helm")
def test_several_servers_are_replaced_one_by_one() -> None:
    values = f"{SMALLEST_SERVER}replicas: 2\ndatabase: {{secret: a}}\ntls: {{secret: b}}"
    [servers] = of_kind(found := rendered(SERVER, values), "StatefulSet")
    assert servers["spec"]["podManagementPolicy"] == "OrderedReady"
    [budget] = of_kind(found, "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    assert not of_kind(rendered(SERVER, SMALLEST_SERVER), "PodDisruptionBudget")


# --- the agent --------------------------------------------------------------------------------


def agent_files(folder: Path) -> Iterator[tuple[Case, Path]]:
    """agent.toml of each case, as the pod has it."""
    for case in (one for one in CASES if one.chart == AGENT):
        for config in of_kind(rendered(case.chart, case.values), "ConfigMap"):
            path = folder / f"{case.name}.toml"
            path.touch(0o644)
            path.write_text(config["data"]["agent.toml"])
            yield case, path


@pytest.mark.needs("helm")
def test_the_agents_file_is_one_that_it_reads_and_says_what_the_values_say(tmp_path: Path) -> None:
    read = {
        case.name: (yaml.safe_load(case.values), read_agent_file(path))
        for case, path in agent_files(tmp_path)
    }
    assert len(read) > 2
    for values, options_ in read.values():
        assert options_["specs"] == tuple(values["specs"])
        assert all(parse_spec(spec) for spec in options_["specs"])
        assert options_.get("connect_urls", ()) == tuple(values.get("connectUrls", ()))
        assert options_.get("relay", "") == values.get("relay", "")
    _, everything = read["everything"]
    assert (everything["links"], everything["proxy"]) == (4, "socks5h://proxy.internal:1080")
    assert everything["client_cert"] != everything["client_key"]
    assert everything["debug"] is True


@pytest.mark.needs("helm")
def test_a_certificate_authority_arrives_as_it_was_given() -> None:
    [case] = [one for one in CASES if one.name == "everything"]
    [config] = of_kind(rendered(case.chart, case.values), "ConfigMap")
    assert config["data"]["ca.pem"] == yaml.safe_load(case.values)["ca"]["pem"]


@pytest.mark.needs("helm")
def test_other_specs_start_no_agent_anew_and_other_options_do() -> None:
    def pod(values: str) -> Object:
        return template_of(rendered(AGENT, values))

    before = pod(SMALLEST_AGENT)
    assert pod(SMALLEST_AGENT.replace("5432:db:5432", "9092:kafka:9092")) == before
    assert pod(f"{SMALLEST_AGENT}links: 2") != before
    assert pod(f"{SMALLEST_AGENT}ca: {{pem: -----BEGIN CERTIFICATE-----}}") != before


@pytest.mark.needs("helm")
def test_an_agent_is_replaced_after_the_new_one_is_ready() -> None:
    [agent] = of_kind(rendered(AGENT, SMALLEST_AGENT), "Deployment")
    assert agent["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


# --- the sidecar ------------------------------------------------------------------------------


def test_the_sidecar_starts_before_the_app_stays_beside_it_and_ends_after_it() -> None:
    spec = template_of(objects(None))["spec"]
    [sidecar] = spec["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["args"][0] == "sidecar"
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert sidecar["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_apps_reach_the_sidecar_where_they_look_for_their_service() -> None:
    spec = template_of(objects(None))["spec"]
    [sidecar], [app] = spec["initContainers"], spec["containers"]
    variables = {one["name"]: one["value"] for one in app["env"]}
    assert variables["PGHOST"] == "127.0.0.1"
    mapped = sidecar["args"][sidecar["args"].index("-p") + 1]
    assert mapped.partition(":")[0] == variables["PGPORT"]
    assert not [word for word in sidecar["args"] if word.startswith("--listen")], "the pod's own loopback"
