import MeshEvents
import TestSupport
import Testing

/// The AsyncAPI document, read by others: PyPI's `asyncapi3` knows AsyncAPI, `jsonschema` JSON Schema.
@Suite struct SchemaCommandTests {
    private static let check = #"""
        import copy, json, os, re, warnings
        warnings.simplefilter("ignore")
        import jsonschema, pydantic, yaml
        from asyncapi3.models.asyncapi import AsyncAPI3

        directory = os.environ["DIRECTORY"]
        document = json.load(open(directory + "/schema.json"))
        assert document == yaml.safe_load(open(directory + "/schema.yaml")), "JSON and YAML differ"
        model = AsyncAPI3.model_validate(document)
        assert model.asyncapi == "3.0.0" and len(model.channels.root) == 24 and len(model.operations.root) == 48

        # It does refuse what is wrong.
        def broken(change):
            other = copy.deepcopy(document)
            change(other)
            try:
                AsyncAPI3.model_validate(other)
            except pydantic.ValidationError:
                return
            raise SystemExit("a broken document was taken for a good one")
        broken(lambda d: d["operations"]["emit-tool-crashed"].pop("action"))
        broken(lambda d: d["operations"]["emit-tool-crashed"].update(action="publish"))
        broken(lambda d: d["info"].pop("version"))
        broken(lambda d: d["channels"]["user"].update(adress="x"))
        broken(lambda d: d["servers"]["nats"].pop("protocol"))
        for channel in document["channels"].values():
            assert re.findall(r"\{(\w+)\}", channel["address"]) == list(channel.get("parameters", {})), channel

        def validator(name):
            schema = {"$ref": "#/components/schemas/" + name, "components": document["components"]}
            return jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
        for schema in document["components"]["schemas"].values():
            jsonschema.Draft7Validator.check_schema(schema)

        # Every message that Go sent is as its subject's channel says; on another channel it is not.
        by_address = {channel["address"]: name for name, channel in document["channels"].items()}
        count = 0
        for line in open(os.environ["MESSAGES"], encoding="utf-8"):
            subject, payload = line.rstrip("\n").split(" ", 1)
            address = "events.user.{topic}" if subject.startswith("events.user.") else subject
            name = by_address[address]
            validator(name + "-event").validate(json.loads(payload))
            for other in by_address.values():
                assert other == name or not validator(other + "-event").is_valid(json.loads(payload)), (subject, other)
            count += 1
        assert count == 15, count

        # So are the examples, and not without one of their members, or with one of another kind.
        for name, message in document["components"]["messages"].items():
            example = message["examples"][0]["payload"]
            validator(name + "-event").validate(example)
            schema = document["components"]["schemas"][name + "-data"]
            assert name == "user" or sorted(example["data"]) == sorted(schema["properties"])
            for member in example:
                assert not validator(name + "-event").is_valid({k: v for k, v in example.items() if k != member}), member
            for member in example["data"] if name != "user" else []:
                without = {k: v for k, v in example["data"].items() if k != member}
                is_optional = member not in schema["required"]
                assert validator(name + "-event").is_valid({**example, "data": without}) == is_optional, (name, member)
                odd = {**example["data"], member: 1.5 if isinstance(example["data"][member], list) else [1]}
                assert not validator(name + "-event").is_valid({**example, "data": odd}), (name, member)
        print("all well")
        """#

    @Test func othersReadTheDocumentAndGosMessagesFitIt() async throws {
        let directory = try TemporaryDirectory()
        for format in ["json", "yaml"] {
            let schema = try await Command.run(["schema", "--format", format])
            #expect(schema.code == 0 && schema.error.isEmpty, "\(schema.error)")
            try directory.file("schema.\(format)", schema.output)
        }
        let messages = NATSServers.packageDirectory + "/Tests/MeshEventsTests/Resources/go-events.txt"
        let output = try await Python.run(
            Self.check,
            environment: ["DIRECTORY": directory.path, "MESSAGES": messages],
            Python.contracts
        )
        #expect(output.hasSuffix("all well\n"), "\(output)")
    }

    @Test func aPartIsPrintedWhenAskedFor() async throws {
        for (type, expected) in [
            ("tool.*", 12), ("node.left", 1), ("events.node.>", 7), ("user", 1), ("user.>", 1), ("alert.*", 4),
            (">", 24),
        ] {
            let schema = try await Command.run(["schema", "--type", type])
            #expect(schema.code == 0, "\(schema.error)")
            let document = try EventData(json: schema.output)
            #expect(document["channels"]?.data?.keys.count == expected, "\(type)")
            #expect(document["components"]?["messages"]?.data?.keys.count == expected, "\(type)")
        }
        for arguments in [["--type", "nothing.such"], ["--type", "a..b"], ["--format", "xml"]] {
            let schema = try await Command.run(["schema"] + arguments)
            #expect(schema.code == 64, "\(arguments)")
            expectOneLine(schema)
        }
    }
}
