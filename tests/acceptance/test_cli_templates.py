"""Templates from the command line, against a real service."""

GREET = """description: Says hello
category: notifications
input_schema:
  type: object
  required: [who]
  properties:
    who: {type: string, description: Whom to greet}
    greeting: {type: string, default: Hello}
definition:
  version: 1
  jobs:
    say: {uses: noop, with: {output: "${input.greeting}, ${input.who}"}}
"""


def test_a_template_from_a_file_is_run_changed_and_made_into_a_workflow(service, wfs):
    (service.folder / "greet.yaml").write_text(GREET)
    assert wfs("template", "create", "greet", "--file", "greet.yaml").code == 0
    listed = wfs("template", "ls", "--category", "notifications", "--json").json["items"]
    assert "greet" in [one["name"] for one in listed]
    assert "welcome-email" in wfs("template", "ls").out
    shown = wfs("template", "show", "greet").out
    assert "Whom to greet" in shown
    done = wfs("template", "run", "greet", "-d", "who=Ann", "--wait", "--json")
    assert (done.code, done.json["output"]) == (0, "Hello, Ann"), done.err
    refused = wfs("template", "run", "greet")
    assert refused.code != 0
    assert "input.who" in refused.err
    (service.folder / "greet.yaml").write_text(GREET.replace("Hello", "Servus"))
    assert wfs("template", "update", "greet", "--file", "greet.yaml", "--json").json["version"] == 2
    made = wfs("template", "create", "greetings", "--from", "greet", "-d", "who=Eve", "--json")
    assert (made.code, made.json["deployment_status"]) == (0, "DEPLOYED"), made.err
    assert wfs("run", "greetings", "--wait", "--json").json["output"] == "Servus, Eve"
    assert wfs("template", "create", "x").code == 2
    assert wfs("template", "rm", "greet").code == 0
    assert wfs("template", "rm", "welcome-email").code == 5
    assert wfs("template", "run", "greet", "-d", "who=Ann").code == 3
