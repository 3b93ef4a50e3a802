"""The synthesised template of the stack, for tests that read it."""

import json
import zipfile

from infra import settings as room


class Template:
    """A synthesised template: its resources, its outputs and its folder."""

    def __init__(self, folder, **context):
        # Loaded only by who makes a template: each process of a run reads this file.
        from aws_cdk import App

        from infra.stack import add_stack

        app = App(outdir=str(folder))
        settings = room.load(context.get, {})
        self.stack = add_stack(app, settings)
        app.synth()
        self.folder = folder
        self.path = folder / f"{settings.name}.template.json"
        self.resources = json.loads(self.path.read_text())["Resources"]
        self.outputs = json.loads(self.path.read_text())["Outputs"]

    def all(self, kind):
        return {
            name: each.get("Properties", {})
            for name, each in self.resources.items()
            if each["Type"] == kind
        }

    def one(self, kind, start=""):
        found = {name: each for name, each in self.all(kind).items() if name.startswith(start)}
        assert len(found) == 1, (kind, list(found))
        return next(iter(found.values()))

    def statements(self, start):
        """Yield the policy statements of the constructs whose names begin with `start`."""
        policies = list(self.all("AWS::IAM::Policy").items())
        for name, role in self.all("AWS::IAM::Role").items():
            policies += [(name, policy) for policy in role.get("Policies", ())]
        for name, policy in policies:
            if name.startswith(start):
                yield from policy["PolicyDocument"]["Statement"]

    def code(self):
        """Return the path of the zip that Lambda gets."""
        for path in self.folder.glob("asset.*.zip"):
            with zipfile.ZipFile(path) as package:
                if "app.py" in package.namelist():
                    return path
        raise AssertionError("no zip holds app.py")


def resolve(value, known):
    """Replace the references of CloudFormation in a value.

    Parameters
    ----------
    value : Any
        JSON of a template.
    known : mapping
        Values by the target of a reference: ``"AWS::Region"``, ``"LogicalId"`` or
        ``"LogicalId.Attribute"``. A reference to anything else becomes its own name.
    """
    if isinstance(value, list):
        return [resolve(each, known) for each in value]
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return known.get(value["Ref"], value["Ref"])
    if "Fn::GetAtt" in value:
        name = ".".join(value["Fn::GetAtt"])
        return known.get(name, name)
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return separator.join(map(str, resolve(parts, known)))
    if "Fn::Select" in value:
        index, parts = value["Fn::Select"]
        found = resolve(parts, known)
        return found[int(index)] if isinstance(found, list) else found
    if "Fn::Split" in value:
        separator, text = value["Fn::Split"]
        return resolve(text, known).split(separator)
    return {key: resolve(each, known) for key, each in value.items()}


def violations(report):
    """Return pairs of a rule and a construct that breaks it, from a report of CDK's validation."""
    return {
        (each["ruleName"], found["constructPath"].split("/")[1])
        for plugin in json.loads(report.read_text())["pluginReports"]
        for each in plugin["violations"]
        for found in each["violatingConstructs"]
    }
