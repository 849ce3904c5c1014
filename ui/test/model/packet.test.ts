import assert from "node:assert/strict";
import test from "node:test";
import { Digits, read, write } from "../../src/model/exact";
import { changes, formOf, isBinary, partsOf, withField, withMeta, withoutField } from "../../src/model/packet";
import { failingLine } from "../../src/model/traceback";

const PACKET = '{"fields":{"a":"x","data":"aGk=","several":[1,2]},"meta":{"id":"1"},"field_meta":{"data":{"pypes":{"base64":true}},"several":{"pypes":{"multi":false},"set_by":"me"}}}';
const packet = partsOf(read(PACKET));

test("a packet is put together again as it was taken apart", () => assert.equal(write(formOf(packet)), PACKET));

test("a field keeps its place, and what is said of its values only as long as it is true", () => {
  assert.deepEqual([...withField(packet, "a", "y").fields.keys()], ["a", "data", "several"]);
  assert.ok(isBinary(withField(packet, "data", "aG8="), "data"));
  assert.ok(!isBinary(withField(packet, "data", new Digits("1")), "data"));
  assert.equal(write(withField(packet, "several", "one").fieldMeta), '{"data":{"pypes":{"base64":true}},"several":{"set_by":"me"}}');
  assert.equal(write(withField(packet, "several", [new Digits("3")]).fieldMeta), write(packet.fieldMeta));
});

test("with a field goes what is said of it", () => {
  const left = withoutField(packet, "data");
  assert.deepEqual([...left.fields.keys()], ["a", "several"]);
  assert.deepEqual([...left.fieldMeta.keys()], ["several"]);
  assert.equal(packet.fields.size, 3);
});

test("what became of each name", () => {
  const after = withMeta(withoutField(withField(withField(packet, "a", "y"), "new", null), "data"), "id", "2");
  assert.deepEqual(
    changes(packet.fields, after.fields).map(({ name, kind }) => `${name} ${kind}`),
    ["a changed", "data removed", "several same", "new added"],
  );
  assert.equal(changes(packet.meta, after.meta)[0]?.kind, "changed");
});

test("the line that failed is the last one that a traceback names", () => {
  const traceback = 'Traceback (most recent call last):\n  File "/x/risky.py", line 13, in process\n    packet.set("c", year_of(packet))\n                    ^^^^^^^\n  File "/x/risky.py", line 6, in year_of\n    return int(born)\n           ^^^^^^^^^\nValueError: in\n';
  assert.deepEqual(failingLine(traceback), { file: "/x/risky.py", line: 6, within: "year_of", source: "return int(born)" });
  assert.equal(failingLine("ValueError"), undefined);
});
