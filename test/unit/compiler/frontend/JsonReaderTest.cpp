//===- JsonReaderTest.cpp - positions and errors of JSON ------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/frontend/JsonReader.h"

#include "gtest/gtest.h"

namespace contraflow::frontend {
namespace {

std::string getError(const std::string &text) {
  JsonDiagnostics diagnostics;
  JsonDocument::parse("x.json", text, diagnostics);
  return diagnostics.size() == 1 ? diagnostics[0].str() : "";
}

TEST(JsonReader, KnowsWhereValuesStand) {
  JsonDiagnostics diagnostics;
  std::optional<JsonValue> root = JsonDocument::parse(
      "x.json", "{\n  \"a\": {\"b\" : [1, \"]}\\\"\",\n    {\"c\": null}]},\n  \"d\": -1.5e3\n}",
      diagnostics);
  ASSERT_TRUE(root);
  std::optional<JsonValue> list = root->find("a.b");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->getPosition().line, 2u);
  EXPECT_EQ(list->getPosition().column, 9u);
  JsonValue element = list->at(2);
  EXPECT_EQ(element.getKeyPath(), "a.b[2]");
  EXPECT_EQ(element.getPosition().line, 3u);
  EXPECT_EQ(element.getPosition().column, 5u);
  EXPECT_EQ(root->find("d")->getPosition().line, 4u);
  EXPECT_FALSE(root->find("d.e"));
  EXPECT_FALSE(root->find("a.x"));
}

TEST(JsonReader, SyntaxErrorsHaveALine) {
  EXPECT_EQ(getError("{\n  \"a\": 1,\n  \"b\" 2\n}").substr(0, 19), "x.json:3:7: error: ");
  EXPECT_EQ(getError("").substr(0, 12), "x.json:1:1: ");
  EXPECT_EQ(getError("[1]"), "x.json:1:1: error: expected a JSON object");
}

TEST(JsonReader, NamesANumberThatNoDoubleHolds) {
  EXPECT_EQ(getError("{\"a\": 1e999}"), "x.json:1:7: error: number 1e999 is too large");
  EXPECT_EQ(getError("{\"1e999\": 1,\n \"a\": [1, -1e999 ]}"),
            "x.json:2:11: error: number -1e999 is too large");
}

TEST(JsonReader, RefusesAKeyThatIsThereTwice) {
  EXPECT_EQ(getError("{\"a\": 1,\n \"a\": 2}"), "x.json:2:2: error: key 'a' is there twice");
  // What is in the first is not in the second.
  EXPECT_EQ(getError("{\"a\": {\"b\": 1},\n \"a\": {\"b\": 2}}"),
            "x.json:2:2: error: key 'a' is there twice");
  // A slash in a key is no path.
  JsonDiagnostics diagnostics;
  EXPECT_TRUE(JsonDocument::parse("x.json", "{\"a/b\": 1, \"a\": {\"b\": 2}}", diagnostics));
}

TEST(JsonReader, ReadsOnBehindAKeyThatIsThereTwice) {
  JsonDiagnostics diagnostics;
  std::optional<JsonValue> root =
      JsonDocument::parse("x.json", "{\"a\": 1, \"a\": 2,\n\"b\": {\"c\": 1, \"c\": 3}}", diagnostics);
  ASSERT_TRUE(root);
  ASSERT_EQ(diagnostics.size(), 2u);
  EXPECT_EQ(diagnostics[0].str(), "x.json:1:10: error: key 'a' is there twice");
  EXPECT_EQ(diagnostics[1].str(), "x.json:2:15: error: key 'c' is there twice");
  EXPECT_EQ(root->find("b.c")->get(), 3);
}

TEST(JsonReader, SaysOfOtherEncodingsWhatTheyAre) {
  EXPECT_EQ(getError(std::string("\xFE\xFF\0{", 4)), "x.json:1:1: error: the text is UTF-16, expected UTF-8");
  // A byte order mark of UTF-8 counts as no column.
  JsonDiagnostics diagnostics;
  std::optional<JsonValue> root = JsonDocument::parse("x.json", "\xEF\xBB\xBF{\"a\": 1}", diagnostics);
  ASSERT_TRUE(root);
  EXPECT_EQ(root->find("a")->getPosition().column, 2u);
}

TEST(JsonReader, QuotesLongTokensInPart) {
  EXPECT_LT(getError("{\"a\": \"" + std::string(100000, 'x')).size(), 300u);
}

class AssignmentTest : public testing::Test {
protected:
  /// `text` with assignments; errors go to `errors`.
  JsonValue assign(const std::string &text, const std::vector<std::string> &assignments) {
    JsonDiagnostics diagnostics;
    std::vector<Assignment> parsed;
    for (const std::string &assignment : assignments)
      if (std::optional<Assignment> one = Assignment::parse(assignment, diagnostics))
        parsed.push_back(*one);
    JsonValue root = JsonDocument::parse("x.json", text, diagnostics)->with(parsed, diagnostics);
    errors.clear();
    for (const JsonDiagnostic &diagnostic : diagnostics)
      errors += diagnostic.str() + "\n";
    return root;
  }

  std::string errors;
};

TEST_F(AssignmentTest, SetsValuesAndSaysWhereTheyComeFrom) {
  JsonValue root = assign("{\"a\": {\"b\": 1, \"c\": [1, 2]}, \"d\": null}",
                          {"a.b=2.5", "a.c[1]=true", "d.e=text", "f={\"g\": [1]}", "f.g=x y"});
  EXPECT_EQ(errors, "");
  EXPECT_EQ(root.get().dump(), R"({"a":{"b":2.5,"c":[1,true]},"d":{"e":"text"},"f":{"g":"x y"}})");
  EXPECT_EQ(root.find("a.b")->getFile(), "--set a.b=2.5");
  EXPECT_EQ(root.find("a.b")->getPosition().line, 0u);
  EXPECT_EQ(root.find("a.c")->at(1).getFile(), "--set a.c[1]=true");
  EXPECT_EQ(root.find("a.c")->at(0).getFile(), "x.json");
  // What an assignment makes on its way is its own.
  EXPECT_EQ(root.find("d")->getFile(), "--set d.e=text");
  EXPECT_EQ(root.find("f")->getFile(), "--set f={\"g\": [1]}");
  EXPECT_EQ(root.find("f.g")->getFile(), "--set f.g=x y");
  EXPECT_EQ(root.find("a")->getFile(), "x.json");
}

TEST_F(AssignmentTest, RefusesWhatFitsNowhere) {
  std::string form = ": error: expected KEY=VALUE, such as optimizer.lr=3e-4 or model.num_hidden_layers=4\n";
  for (std::string wrong : {"a", "=1", "a..b=1", "a[=1", "a[x]=1", "a[1]b=1", ".a=1"}) {
    assign("{}", {wrong});
    EXPECT_EQ(errors, "--set " + wrong + form);
  }
  assign("{\"a\": 1, \"b\": [1]}", {"a.c=1", "b[1]=2", "b.c=1", "a={"});
  EXPECT_EQ(errors.substr(0, errors.find("syntax error")), "--set a={: error: ");
  EXPECT_EQ(errors.substr(errors.find('\n') + 1),
            "--set a.c=1: error: a: expected an object, found 1\n"
            "--set b[1]=2: error: b: expected a list with an element 1, found [1]\n"
            "--set b.c=1: error: b: expected an object, found [1]\n");
}

TEST(JsonReader, RefusesDeepNesting) {
  std::string text = "{\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_EQ(getError(text), "x.json:1:1: error: values are nested too deeply, expected at most 100 levels");
}

TEST(JsonReader, ReportsEverythingThatIsWrongWithAnObject) {
  JsonDiagnostics diagnostics;
  std::optional<JsonValue> root = JsonDocument::parse(
      "x.json", "{\"steps\": \"many\",\n \"rate\": -1,\n \"mode\": \"fast\",\n \"batc\": 3}", diagnostics);
  ASSERT_TRUE(root);
  ObjectReader reader(*root, diagnostics);
  int64_t steps = 7, batch = 8;
  double rate = 0.5;
  std::string mode = "slow";
  EXPECT_FALSE(reader.read("steps", steps));
  EXPECT_FALSE(reader.read("rate", rate));
  EXPECT_FALSE(reader.readOneOf("mode", mode, {"slow", "normal"}));
  EXPECT_FALSE(reader.read("batch", batch));
  reader.require("seed");
  reader.finish();
  EXPECT_EQ(steps, 7);
  EXPECT_EQ(mode, "slow");
  std::vector<std::string> expected = {
      "x.json:1:2: error: steps: expected an integer of 0 or more, found \"many\"",
      "x.json:2:2: error: rate: expected a number of 0 or more, found -1",
      "x.json:3:2: error: mode: expected one of \"slow\", \"normal\", found \"fast\"",
      "x.json:1:1: error: key 'seed' is missing",
      "x.json:4:2: error: unknown key 'batc'; did you mean 'batch'?",
  };
  std::vector<std::string> found;
  for (const JsonDiagnostic &diagnostic : diagnostics)
    found.push_back(diagnostic.str());
  EXPECT_EQ(found, expected);
}

} // namespace
} // namespace contraflow::frontend
